// A leader's term as others can compare it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tenon/codec/uuid.hpp>

namespace tenon {

/// Tokens of one election are ordered by (timeline, term): a later leader's is greater. `id` tells apart two terms of
/// one number, which are there when a standby that missed a term is promoted.
struct fencing_token {
    std::int32_t timeline = 0; ///< of the server's history (manual, section 26.3.5): each promotion begins another
    std::int64_t term = 0;     ///< counts an election's leaders
    uuid id{};

    /// "timeline-term-id", to be sent along with a request.
    [[nodiscard]] std::string to_string() const;
    /// Reads the same; nullopt for anything else.
    [[nodiscard]] static std::optional<fencing_token> parse(std::string_view text) noexcept;

    /// Tokens of one place in the order that have different ids are unordered: one of them is of a history that was
    /// lost.
    friend std::partial_ordering operator<=>(const fencing_token& a, const fencing_token& b) noexcept {
        if (const auto order = a.timeline <=> b.timeline; order != 0)
            return order;
        if (const auto order = a.term <=> b.term; order != 0)
            return order;
        return a.id == b.id ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
    }
    friend bool operator==(const fencing_token&, const fencing_token&) = default;
};

} // namespace tenon
