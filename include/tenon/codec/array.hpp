// One-dimensional arrays as std::vector, and arrays of any dimension as tenon::array.
//
// NULL elements need std::vector<std::optional<T>>. A vector reads an array with any lower bound and writes one
// that begins at 1; tenon::array keeps the bounds. PostgreSQL has no arrays of arrays, only more dimensions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include <tenon/codec/codec.hpp>
#include <tenon/codec/detail/parts_reader.hpp>

namespace tenon {

/// One dimension of an array: subscripts run from `lower_bound` to `lower_bound + size - 1`.
struct array_dimension {
    std::int32_t size = 0;
    std::int32_t lower_bound = 1;

    friend bool operator==(const array_dimension&, const array_dimension&) = default;
};

namespace detail {

/// PostgreSQL's limit (MAXDIM in src/include/utils/array.h).
inline constexpr std::size_t most_dimensions = 6;

/// Type names of arrays: the element's and "[]".
template <class Element>
inline constexpr std::array<char, Element::type.name.size() + 2> array_name = [] {
    std::array<char, Element::type.name.size() + 2> text{};
    std::size_t at = 0;
    for (const char c : Element::type.name)
        text[at++] = c;
    text[at++] = '[';
    text[at] = ']';
    return text;
}();

template <class Element>
inline constexpr pg_type array_type{
    {array_name<Element>.data(), array_name<Element>.size()}, Element::type.array_id, 0};

/// A type that can be an element: PostgreSQL has no arrays of arrays, and an array in binary has no elements in text.
template <class T>
concept array_element = column_value<T> && !shape_of<T>.text_format &&
                        !requires { typename codec<typename not_null<T>::type>::element_type; };

/// Appends the header of a one-dimensional array of `size` elements (0: the empty array). Layout as
/// array_recv reads it (src/backend/utils/adt/arrayfuncs.c). Throws encode_error past 2^31 - 1 elements.
void put_array_header(buffer& out, oid element, std::size_t size);

/// The same for any dimensions. Throws encode_error unless they hold `size` elements.
void put_array_header(buffer& out, oid element, std::span<const array_dimension> dimensions, std::size_t size);

/// Place of the element with these subscripts. Throws std::out_of_range.
std::size_t array_offset(std::span<const array_dimension> dimensions, std::span<const std::int32_t> subscripts);

/// Walks the elements of an array; throws decode_error on malformed bytes. `size()` is never more than the
/// bytes can hold, so it is safe to reserve.
class array_reader {
public:
    /// Of one dimension at most.
    explicit array_reader(wire_value array);
    /// Of any; `dimensions` has room for `most_dimensions`, and `rank()` of them are filled.
    array_reader(wire_value array, array_dimension* dimensions);

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
    [[nodiscard]] wire_value next() { return parts_.next(); }
    void finish() const { parts_.finish(); }

private:
    void read_header(array_dimension* dimensions, std::size_t most);

    parts_reader parts_;
    std::size_t size_ = 0;
    std::size_t rank_ = 0;
};

} // namespace detail

/// An array with its dimensions and lower bounds; elements in row-major order, the last subscript fastest. An empty
/// array has no dimensions. NULL elements need array<std::optional<T>>.
template <class T>
struct array {
    std::vector<array_dimension> dimensions;
    std::vector<T> elements;

    /// The element with SQL's subscripts: `a.at({2, 1})` is a[2][1]. Throws std::out_of_range.
    [[nodiscard]] typename std::vector<T>::const_reference at(std::initializer_list<std::int32_t> subscripts) const {
        return elements[detail::array_offset(dimensions, {subscripts.begin(), subscripts.size()})];
    }

    friend bool operator==(const array&, const array&) = default;
};

template <detail::array_element T>
    requires(!std::is_same_v<T, std::byte>)
struct codec<std::vector<T>> {
    using element_type = T;
    using element = codec<typename detail::not_null<T>::type>;
    static constexpr pg_type type = detail::array_type<element>;
    static constexpr bool borrows = shape_of<T>.borrows;

    static void encode(const std::vector<T>& values, buffer& out) {
        detail::put_array_header(out, element::type.id, values.size());
        for (const auto& value : values)
            detail::put_part<T>(out, value);
    }
    static std::vector<T> decode(wire_value value) {
        detail::array_reader reader(value);
        std::vector<T> values;
        values.reserve(reader.size());
        for (std::size_t i = 0; i < reader.size(); ++i)
            values.push_back(codec<T>::decode(reader.next()));
        reader.finish();
        return values;
    }
};

template <detail::array_element T>
struct codec<array<T>> {
    using element_type = T;
    using element = codec<typename detail::not_null<T>::type>;
    static constexpr pg_type type = detail::array_type<element>;
    static constexpr bool borrows = shape_of<T>.borrows;

    static void encode(const array<T>& value, buffer& out) {
        detail::put_array_header(out, element::type.id, value.dimensions, value.elements.size());
        for (const auto& item : value.elements)
            detail::put_part<T>(out, item);
    }
    static array<T> decode(wire_value value) {
        std::array<array_dimension, detail::most_dimensions> dimensions;
        detail::array_reader reader(value, dimensions.data());
        array<T> result;
        result.dimensions.assign(dimensions.data(), dimensions.data() + reader.rank());
        result.elements.reserve(reader.size());
        for (std::size_t i = 0; i < reader.size(); ++i)
            result.elements.push_back(codec<T>::decode(reader.next()));
        reader.finish();
        return result;
    }
};

} // namespace tenon
