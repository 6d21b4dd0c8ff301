// From a row to a record, or to a single value.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include <tenon/codec/shape.hpp>
#include <tenon/core/error.hpp>
#include <tenon/pg/result.hpp>
#include <tenon/reflect/field.hpp>

namespace tenon {

namespace detail {

/// Room for the values of one row, not cleared first: `result::row` fills it.
template <std::size_t N>
union row_room {
    row_room() noexcept {} // NOLINT(modernize-use-equals-default): a defaulted one would be deleted
    std::array<wire_value, N> values;
};

/// Lets a container build the result of a function in its place, instead of moving it there.
template <class Make>
struct made_in_place {
    const Make& make;
    operator decltype(make())() const { return make(); } // NOLINT(google-explicit-constructor): that is its use
};
template <class Make>
made_in_place(const Make&) -> made_in_place<Make>;

template <class R, std::size_t... I>
R decode_fields(const wire_value* values, std::size_t& at, std::index_sequence<I...>) {
    return R{(at = I, codec<field_type<R, I>>::decode(values[I]))...};
}

} // namespace detail

/// Decodes the values of one row, which are the fields of `R` in order.
/// Throws decode_error that names record, field and column.
template <record R>
R decode_values(const wire_value* values, const record_shape& shape) {
    std::size_t at = 0;
    try {
        return detail::decode_fields<R>(values, at, std::make_index_sequence<field_count<R>>{});
    } catch (const decode_error& cause) {
        detail::rethrow_with_field(cause, shape, at, values[at].is_null());
    }
}

/// Decodes row number `row`, whose columns are the fields of `R` in order.
/// Throws decode_error that names record, field and column.
template <record R>
R decode_record(const result& rows, std::size_t row, const record_shape& shape) {
    detail::row_room<field_count<R>> room;
    rows.row(row, room.values);
    return decode_values<R>(room.values.data(), shape);
}

/// Decodes the first column of row number `row`. Throws decode_error.
template <column_value T>
T decode_value(const result& rows, std::size_t row) {
    wire_value value;
    rows.row(row, {&value, 1});
    return codec<T>::decode(value);
}

} // namespace tenon
