// Rows that came back, still in PostgreSQL's binary form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <tenon/codec/wire.hpp>

struct pg_result; // libpq's PGresult

namespace tenon {

/// Owns the rows of one statement; values read from it are valid while it lives. Movable; may be read by
/// several threads at once.
class result {
public:
    result() noexcept = default;
    explicit result(pg_result* owned) noexcept : rows_(owned) {}

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    /// Rows that INSERT, UPDATE, DELETE or MERGE touched, or that SELECT returned.
    [[nodiscard]] std::uint64_t affected() const noexcept;

    /// The server's command tag: "INSERT 0 1", "COMMIT".
    [[nodiscard]] std::string_view command() const noexcept;

    /// Fills `out` with the first `out.size()` values of row number `row`. Both must be within bounds.
    void row(std::size_t row, std::span<wire_value> out) const noexcept;

private:
    struct clear {
        void operator()(pg_result* rows) const noexcept;
    };
    std::unique_ptr<pg_result, clear> rows_;
};

} // namespace tenon
