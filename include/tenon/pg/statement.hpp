// A statement: its SQL, and what it expects of the server.
//
// Statements of a repository are constants of the program. Each session prepares a statement once and
// checks the server's description of it against the expected types before anything is executed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <tenon/codec/shape.hpp>

namespace tenon {

struct statement {
    std::string_view sql;
    std::string_view operation{};                     ///< for messages and metrics: "insert into"
    const record_shape* record = nullptr;             ///< the record it is about, if any
    std::span<const value_shape* const> parameters{}; ///< expected types of $1, $2, ...
    std::span<const value_shape* const> results{};    ///< expected types of its columns, if they are no record
    std::span<const std::string_view> result_names{}; ///< and their names, where they matter
    bool returns_record = false;                      ///< its columns are the record's fields, in order
    std::size_t hash = 0;                             ///< of `sql`, see `hash_of`
    bool constant = false;                            ///< `sql` lives as long as the program: its address tells it
};

/// FNV-1a: cheap at compile time, good enough for a table of a few hundred statements.
constexpr std::size_t hash_of(std::string_view text) noexcept {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return static_cast<std::size_t>(hash);
}

/// The shapes of a list of types, to put into a statement.
template <column_value... T>
inline constexpr std::array<const value_shape*, sizeof...(T)> shapes_of{&shape_of<T>...};

} // namespace tenon
