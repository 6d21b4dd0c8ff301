// Ranges: what lies between two bounds.
//
// A range is read as the server sends it: it stores ranges of integers and days in their canonical form, so
// [1,10] comes back as [1,11). Types: integer, bigint, numeric, date and both timestamps; for a range type of
// one's own, specialise `tenon::range_type`:
//
//     template <>
//     inline constexpr tenon::pg_type tenon::range_type<double> = {"floatrange"};
#pragma once

#include <cstdint>
#include <optional>

#include <tenon/codec/chrono.hpp>
#include <tenon/codec/codec.hpp>

namespace tenon {

namespace detail {

/// The server's own range type over an element type; without a name where there is none.
constexpr pg_type builtin_range(oid element) noexcept {
    switch (element) {
    case oids::int4:
        return {"int4range", oids::int4range, oids::int4range_array};
    case oids::int8:
        return {"int8range", oids::int8range, oids::int8range_array};
    case oids::numeric:
        return {"numrange", oids::numrange, oids::numrange_array};
    case oids::timestamp:
        return {"tsrange", oids::tsrange, oids::tsrange_array};
    case oids::timestamptz:
        return {"tstzrange", oids::tstzrange, oids::tstzrange_array};
    case oids::date:
        return {"daterange", oids::daterange, oids::daterange_array};
    default:
        return {};
    }
}

} // namespace detail

/// The range type over T's PostgreSQL type; specialise it to add one.
template <column_value T>
inline constexpr pg_type range_type = detail::builtin_range(codec<T>::type.id);

/// A type that has ranges.
template <class T>
concept range_element = column_value<T> && !detail::not_null<T>::nullable && !range_type<T>.name.empty();

/// What lies between two bounds; [lower, upper) unless said otherwise. An absent bound is unbounded, which differs
/// from a bound at infinity. `range<T>{}` holds everything, `range<T>::none()` nothing.
template <class T>
struct range {
    std::optional<T> lower{};
    std::optional<T> upper{};
    bool lower_inclusive = true;
    bool upper_inclusive = false;
    bool empty = false; ///< holds nothing; the bounds do not matter then

    [[nodiscard]] static range none() { return {.empty = true}; }

    [[nodiscard]] bool contains(const T& value) const {
        return !empty && (!lower || (lower_inclusive ? *lower <= value : *lower < value)) &&
               (!upper || (upper_inclusive ? value <= *upper : value < *upper));
    }

    /// By bounds: [1,10] and [1,11) differ here, until the server has brought them into its form.
    friend bool operator==(const range& a, const range& b) {
        if (a.empty || b.empty)
            return a.empty == b.empty;
        return a.lower == b.lower && a.upper == b.upper && (!a.lower || a.lower_inclusive == b.lower_inclusive) &&
               (!a.upper || a.upper_inclusive == b.upper_inclusive);
    }
};

namespace detail {

/// Flags in front of a range's bounds (src/include/utils/rangetypes.h).
namespace range_flag {
inline constexpr unsigned empty = 0x01, lower_inclusive = 0x02, upper_inclusive = 0x04, lower_unbounded = 0x08,
                          upper_unbounded = 0x10;
} // namespace range_flag

/// A range taken apart; bounds that are absent are NULL.
struct range_parts {
    unsigned flags = 0;
    wire_value lower{};
    wire_value upper{};
};

/// Throws decode_error on malformed bytes.
range_parts split_range(wire_value value);

} // namespace detail

template <range_element T>
struct codec<range<T>> {
    static constexpr pg_type type = range_type<T>;

    static void encode(const range<T>& value, buffer& out) {
        namespace flag = detail::range_flag;
        if (value.empty)
            return out.put(static_cast<char>(flag::empty));
        out.put(static_cast<char>(
            (value.lower ? (value.lower_inclusive ? flag::lower_inclusive : 0U) : flag::lower_unbounded) |
            (value.upper ? (value.upper_inclusive ? flag::upper_inclusive : 0U) : flag::upper_unbounded)));
        for (const std::optional<T>* const bound : {&value.lower, &value.upper})
            if (*bound)
                detail::put_part(out, **bound);
    }
    static range<T> decode(wire_value value) {
        namespace flag = detail::range_flag;
        const detail::range_parts parts = detail::split_range(value);
        if ((parts.flags & flag::empty) != 0)
            return range<T>::none();
        range<T> result;
        result.lower_inclusive = (parts.flags & flag::lower_inclusive) != 0;
        result.upper_inclusive = (parts.flags & flag::upper_inclusive) != 0;
        if (!parts.lower.is_null())
            result.lower = codec<T>::decode(parts.lower);
        if (!parts.upper.is_null())
            result.upper = codec<T>::decode(parts.upper);
        return result;
    }
};

} // namespace tenon
