// How a C++ type travels to and from PostgreSQL: the trait that all of tenon stands on.
//
// To teach tenon a type, specialise `tenon::codec<T>`:
//
//     template <>
//     struct tenon::codec<money> {
//         static constexpr tenon::pg_type type{"bigint", tenon::oids::int8, tenon::oids::int8_array};
//         static void encode(const money& value, tenon::buffer& out) { out.put(value.cents); }
//         static money decode(tenon::wire_value value) { return {tenon::codec<std::int64_t>::decode(value)}; }
//     };
//
// `encode` appends the value's binary form; `decode` reads one and throws `decode_error` on anything else.
// Optional members:
//   `accepts`     array of further OIDs that `decode` understands; parameters of `type` suit them too
//   `text_form`   true when the binary form is the text itself, which fits text, varchar, enum types, citext
//   `view(value)` the binary form where it already lies in memory, to send it without a copy
//   `element_type` of an array: the C++ type of its elements, whose OID stands at bytes 8 to 11 of the binary form
//   `fields`      of a composite type: the shapes of its fields, whose OIDs stand in front of their lengths
//   `borrows`     true when what `decode` returns points into the result and dies with it
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

#include <tenon/codec/buffer.hpp>
#include <tenon/codec/oid.hpp>
#include <tenon/codec/wire.hpp>
#include <tenon/core/id.hpp>
#include <tenon/reflect/type_name.hpp>

namespace tenon {

/// A type of the server.
struct pg_type {
    std::string_view name; ///< as SQL spells it: "bigint", "timestamptz"
    oid id = 0;            ///< 0 when it differs between databases: then the name has to match
    oid array_id = 0;      ///< id of the array of it
};

/// See the paragraph above. The primary template has no members: a type without a codec is not a column_value.
template <class T>
struct codec {};

/// A type that can be a column, a parameter or a result.
template <class T>
concept column_value = requires(wire_value in, buffer& out, const T& value) {
    { codec<T>::type.name } -> std::convertible_to<std::string_view>;
    { codec<T>::decode(in) } -> std::same_as<T>;
    codec<T>::encode(value, out);
};

/// What a C++ type expects of the server's type, for checks and messages.
struct value_shape {
    std::string_view cpp_type;
    pg_type type;
    std::span<const oid> accepts{};
    bool text_form = false;
    bool nullable = false;
    const value_shape* element = nullptr;         ///< of an array: its elements
    std::span<const value_shape* const> fields{}; ///< of a composite type: its fields
    bool borrows = false;                         ///< values point into the result they were read from

    [[nodiscard]] constexpr bool fits(oid id) const noexcept {
        if (id == type.id)
            return true;
        for (const oid other : accepts)
            if (other == id)
                return true;
        return false;
    }
};

namespace detail {

template <class T>
constexpr value_shape make_shape() noexcept;

/// A value's own type behind std::optional; T itself for all others.
template <class T>
struct not_null {
    using type = T;
    static constexpr bool nullable = false;
};

} // namespace detail

/// The shape of a column value.
template <column_value T>
inline constexpr value_shape shape_of = detail::make_shape<T>();

namespace detail {

template <class T>
constexpr value_shape make_shape() noexcept {
    using value = typename not_null<T>::type;
    value_shape shape{
        .cpp_type = qualified_type_name<T>, .type = codec<value>::type, .nullable = not_null<T>::nullable};
    if constexpr (requires { codec<value>::accepts; })
        shape.accepts = codec<value>::accepts;
    if constexpr (requires { codec<value>::text_form; })
        shape.text_form = codec<value>::text_form;
    if constexpr (requires { typename codec<value>::element_type; })
        shape.element = &shape_of<typename codec<value>::element_type>;
    if constexpr (requires { codec<value>::fields; })
        shape.fields = codec<value>::fields;
    if constexpr (requires { codec<value>::borrows; })
        shape.borrows = codec<value>::borrows;
    return shape;
}

} // namespace detail

namespace detail {

/// Appends one part of a larger value: its length and its bytes, or NULL.
template <class T>
void put_part(buffer& out, const T& value) {
    if constexpr (not_null<T>::nullable)
        if (!value) {
            out.put(std::int32_t{-1});
            return;
        }
    const std::size_t at = out.size();
    out.put(std::int32_t{0});
    codec<T>::encode(value, out);
    out.patch(at, static_cast<std::int32_t>(out.size() - at - 4));
}

} // namespace detail

/// A value that points into the result it was read from: it must not outlive it.
template <class T>
concept borrowed_value = column_value<T> && shape_of<T>.borrows;

/// A strong id travels as its value.
template <class Record, column_value Value>
struct codec<id<Record, Value>> : codec<Value> {
    static void encode(const id<Record, Value>& id, buffer& out) { codec<Value>::encode(id.value, out); }
    static id<Record, Value> decode(wire_value value) { return {codec<Value>::decode(value)}; }
};

} // namespace tenon
