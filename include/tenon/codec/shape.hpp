// What a record expects of its table, as data: the compiled core checks it against the live catalog and
// names records, fields and columns in its messages with it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <tenon/codec/codec.hpp>
#include <tenon/core/error.hpp>

namespace tenon {

/// One field and the column that holds it.
struct column_shape {
    std::string_view field;  ///< name in C++
    std::string_view column; ///< name in SQL
    const value_shape* value = nullptr;
    bool key = false;       ///< part of the primary key
    bool version = false;   ///< counts the updates of its row
    bool generated = false; ///< given by the server: read, never written
};

/// A record and its table.
struct record_shape {
    std::string_view record; ///< name in C++: "User"
    std::string_view table;  ///< name in SQL as given: "users" or "app.users"
    std::span<const column_shape> columns;
};

namespace detail {

/// False when a value of these shapes points into the result it was read from: it must not outlive that.
template <class Shapes>
constexpr bool own_their_bytes(const Shapes& shapes) noexcept {
    for (const value_shape* const shape : shapes)
        if (shape->borrows)
            return false;
    return true;
}

/// Throws decode_error that names record, field and column in front of what `cause` says; `null`: it was NULL.
[[noreturn]] void rethrow_with_field(const decode_error& cause, const record_shape& record, std::size_t field,
                                     bool null);

/// Throws encode_error that names record, field and column in front of what `cause` says.
[[noreturn]] void rethrow_with_field(const encode_error& cause, const record_shape& record, std::size_t field);

} // namespace detail
} // namespace tenon
