// Universally unique identifiers (RFC 9562).
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tenon/codec/codec.hpp>

namespace tenon {

/// 16 bytes in network order; compares as PostgreSQL does. Version 7 sorts by time of creation, which
/// keeps an index on it compact: prefer it for keys.
struct uuid {
    std::array<std::uint8_t, 16> bytes{};

    /// A random uuid from the system's generator (version 4).
    [[nodiscard]] static uuid v4();

    /// A time-ordered uuid (version 7): milliseconds since 1970, then 12 bits that count within the
    /// millisecond, then 62 random bits.
    /// Guarantees: later calls of one process return greater values, from any thread.
    [[nodiscard]] static uuid v7();

    /// Reads "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", either case; nullopt for anything else.
    [[nodiscard]] static std::optional<uuid> parse(std::string_view text) noexcept;

    [[nodiscard]] std::string to_string() const;

    /// Time of creation of a version 7 uuid, in milliseconds; nullopt for other versions.
    [[nodiscard]] std::optional<std::chrono::sys_time<std::chrono::milliseconds>> time() const noexcept;

    friend auto operator<=>(const uuid&, const uuid&) = default;
};

template <>
struct codec<uuid> {
    static constexpr pg_type type{"uuid", oids::uuid, oids::uuid_array};
    static std::string_view view(const uuid& value) noexcept {
        return {reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()};
    }
    static uuid decode(wire_value value) {
        if (value.size != 16)
            detail::throw_bad_value(value, type.name);
        uuid result;
        std::memcpy(result.bytes.data(), value.data, 16);
        return result;
    }
};

} // namespace tenon

template <>
struct std::hash<tenon::uuid> {
    std::size_t operator()(const tenon::uuid& id) const noexcept {
        return std::hash<std::string_view>{}({reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
    }
};
