// How a C++ type travels to and from PostgreSQL: the trait that all of tenon stands on.
//
// To teach tenon a type, specialise `tenon::codec<T>`:
//
//     template <>
//     struct tenon::codec<money> {
//         static constexpr tenon::pg_type type{"bigint", tenon::oids::int8, tenon::oids::int8_array};
//         static void encode(const money& value, tenon::buffer& out) { tenon::encode(value.cents, out); }
//         static money decode(tenon::wire_value value) { return {tenon::codec<std::int64_t>::decode(value)}; }
//     };
//
// `encode` appends the value's binary form; `decode` reads one and throws `decode_error` on anything else.
// In place of `encode`, which is quicker:
//   `view(value)` the binary form where it already lies in memory, or
//   `size(value)` its bytes, with `write(value, to)`, which writes them to `to` and returns their end; beside one of
//                 the others it serves COPY, where the server is left to refuse what has no form in it
// Optional members:
//   `accepts`     array of further OIDs that `decode` understands; parameters of `type` suit them too
//   `text_form`   true when the binary form is the text itself, which fits text, varchar, enum types, citext
//   `element_type` of an array: the C++ type of its elements, whose OID stands at bytes 8 to 11 of the binary form
//   `fields`      of a composite type: the shapes of its fields, whose OIDs stand in front of their lengths
//   `text_format` true when parameters are sent as text, with a NUL behind it, and columns read as column::text
//   `borrows`     true when what `decode` returns points into the result and dies with it
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

namespace detail {

template <class T>
concept viewed_value = requires(const T& value) {
    { codec<T>::view(value) } -> std::same_as<std::string_view>;
};

// Of this very type: a codec that derives from another's and encodes in its own way is not to be overruled.
template <class T>
concept written_value = requires(const T& value) {
    { codec<T>::size(value) } -> std::same_as<std::size_t>;
} && (requires { static_cast<char* (*)(T, char*)>(&codec<T>::write); } ||
      requires { static_cast<char* (*)(const T&, char*)>(&codec<T>::write); });

template <class T>
concept encoded_value = requires(const T& value, buffer& out) { codec<T>::encode(value, out); };

} // namespace detail

/// A type that can be a column, a parameter or a result.
template <class T>
concept column_value = requires(wire_value in) {
    { codec<T>::type.name } -> std::convertible_to<std::string_view>;
    { codec<T>::decode(in) } -> std::same_as<T>;
} && (detail::viewed_value<T> || detail::written_value<T> || detail::encoded_value<T>);

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
    bool text_format = false;                     ///< travels as text: columns are read as column::text

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
    if constexpr (requires { codec<value>::text_format; })
        shape.text_format = codec<value>::text_format;
    return shape;
}

} // namespace detail

/// Appends a value's binary form, by whatever its codec has for that: what a codec for a type of one's own calls
/// for its parts. Throws encode_error.
template <column_value T>
void encode(const T& value, buffer& out) {
    if constexpr (detail::viewed_value<T>)
        out.append(codec<T>::view(value));
    else if constexpr (detail::encoded_value<T>)
        codec<T>::encode(value, out);
    else
        (void)codec<T>::write(value, out.extend(codec<T>::size(value)));
}

namespace detail {

inline char* write_bytes(char* to, std::string_view bytes) noexcept {
    if (!bytes.empty())
        std::memcpy(to, bytes.data(), bytes.size());
    return to + bytes.size();
}

/// A type whose size is known before it is written, NULL or not.
template <class T>
concept sized_value = viewed_value<typename not_null<T>::type> || written_value<typename not_null<T>::type>;

/// Bytes of a part of a larger value: its length and its binary form.
template <sized_value T>
std::size_t part_size(const T& value) {
    if constexpr (not_null<T>::nullable)
        return value ? part_size(*value) : 4;
    else if constexpr (written_value<T>)
        return 4 + codec<T>::size(value);
    else
        return 4 + codec<T>::view(value).size();
}

/// Writes a part that has `part_size` bytes; returns its end.
template <sized_value T>
char* write_part(char* to, const T& value) {
    if constexpr (not_null<T>::nullable)
        return value ? write_part(to, *value) : store(to, std::int32_t{-1});
    else if constexpr (written_value<T>) {
        char* const end = codec<T>::write(value, to + 4);
        (void)store(to, static_cast<std::int32_t>(end - to - 4));
        return end;
    } else {
        const std::string_view bytes = codec<T>::view(value);
        return write_bytes(store(to, static_cast<std::int32_t>(bytes.size())), bytes);
    }
}

/// As `write_part`, and throws encode_error for what has no form in PostgreSQL.
template <sized_value T>
char* write_checked_part(char* to, const T& value) {
    if constexpr (not_null<T>::nullable)
        return value ? write_checked_part(to, *value) : store(to, std::int32_t{-1});
    else if constexpr (viewed_value<T>) {
        const std::string_view bytes = codec<T>::view(value);
        return write_bytes(store(to, static_cast<std::int32_t>(bytes.size())), bytes);
    } else
        return write_part(to, value);
}

/// Appends one part of a larger value: its length and its bytes, or NULL.
template <class T>
void put_part(buffer& out, const T& value) {
    if constexpr (not_null<T>::nullable) {
        if (value)
            put_part(out, *value);
        else
            out.put(std::int32_t{-1});
    } else if constexpr (viewed_value<T> || !encoded_value<T>) {
        (void)write_checked_part(out.extend(part_size(value)), value);
    } else {
        const std::size_t at = out.size();
        out.put(std::int32_t{0});
        codec<T>::encode(value, out);
        out.patch(at, static_cast<std::int32_t>(out.size() - at - 4));
    }
}

/// Appends the parts that `value_of` takes from a range.
template <class T, class Iterator, class ValueOf>
void put_parts(buffer& out, Iterator first, Iterator last, ValueOf value_of) {
    using value = typename not_null<T>::type;
    if constexpr (viewed_value<value> || (written_value<value> && !encoded_value<value>)) {
        std::size_t size = 0;
        for (Iterator at = first; at != last; ++at)
            size += part_size(value_of(*at));
        char* to = out.extend(size);
        for (Iterator at = first; at != last; ++at)
            to = write_checked_part(to, value_of(*at));
    } else
        for (Iterator at = first; at != last; ++at)
            put_part(out, value_of(*at));
}

} // namespace detail

/// A value that points into the result it was read from: it must not outlive it.
template <class T>
concept borrowed_value = column_value<T> && shape_of<T>.borrows;

/// A strong id travels as its value.
template <class Record, column_value Value>
struct codec<id<Record, Value>> : codec<Value> {
    static std::string_view view(const id<Record, Value>& id)
        requires detail::viewed_value<Value>
    {
        return codec<Value>::view(id.value);
    }
    static std::size_t size(const id<Record, Value>& id)
        requires detail::written_value<Value>
    {
        return codec<Value>::size(id.value);
    }
    static char* write(const id<Record, Value>& id, char* to)
        requires detail::written_value<Value>
    {
        return codec<Value>::write(id.value, to);
    }
    static void encode(const id<Record, Value>& id, buffer& out)
        requires detail::encoded_value<Value>
    {
        tenon::encode(id.value, out);
    }
    static id<Record, Value> decode(wire_value value) { return {codec<Value>::decode(value)}; }
};

} // namespace tenon
