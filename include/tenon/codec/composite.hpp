// Composite types: a record as the value of one column.
//
//     struct Address {
//         std::string                street;
//         std::optional<std::string> zip{};
//         static constexpr auto type = tenon::composite("address");
//     };
//
// Fields and attributes meet by position, as in `row(...)`. A field that may be NULL is a std::optional. For a
// struct that is not one's own, specialise `tenon::composite_mapping<T>` with the same member instead.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include <tenon/codec/codec.hpp>
#include <tenon/codec/detail/parts_reader.hpp>
#include <tenon/core/error.hpp>
#include <tenon/reflect/field.hpp>

namespace tenon {

struct composite_definition {
    std::string_view name;
};

/// Maps a record to the composite type `name`, as SQL spells it: "address", or "app.address" when its schema is not on
/// the search path.
constexpr composite_definition composite(std::string_view name) noexcept {
    return {name};
}

/// Where tenon looks for the composite type of a record.
template <class R>
struct composite_mapping {};

template <class R>
    requires std::is_same_v<std::remove_cv_t<decltype(R::type)>, composite_definition>
struct composite_mapping<R> {
    static constexpr composite_definition type = R::type;
};

/// A struct with a composite type.
template <class R>
concept composite_record = requires { composite_mapping<R>::type.name; } && record<R>;

namespace detail {

/// Begins a composite's fields. Throws decode_error unless there are `fields` of them.
void open_composite(parts_reader& reader, std::size_t fields);

/// The next field. Throws decode_error when it is of a built-in type that `shape` does not take.
wire_value next_composite_field(parts_reader& reader, const value_shape& shape);

/// Appends a field's OID and length, or NULL.
template <class T>
void put_composite_field(buffer& out, const T& value) {
    out.put(shape_of<T>.type.id);
    put_part(out, value);
}

/// Throws decode_error that names type and field in front of what `cause` says.
[[noreturn]] void rethrow_in_composite(const decode_error& cause, std::string_view type, std::string_view field);
/// Throws encode_error that names type and field in front of what `cause` says.
[[noreturn]] void rethrow_in_composite(const encode_error& cause, std::string_view type, std::string_view field);

} // namespace detail

template <composite_record R>
struct codec<R> {
    static constexpr pg_type type{composite_mapping<R>::type.name};

private:
    using indices = std::make_index_sequence<field_count<R>>;

    template <std::size_t... I>
    static constexpr std::array<const value_shape*, sizeof...(I)> shapes(std::index_sequence<I...>) {
        static_assert(
            (column_value<field_type<R, I>> && ...),
            "tenon: a field of this composite type has a type without a codec: specialise tenon::codec for it");
        return {&shape_of<field_type<R, I>>...};
    }
    template <std::size_t... I>
    static constexpr std::array<std::string_view, sizeof...(I)> names(std::index_sequence<I...>) {
        return {field_name<R, I>...};
    }
    template <std::size_t... I>
    static void encode_fields(const R& value, buffer& out, std::size_t& at, std::index_sequence<I...>) {
        ((at = I, detail::put_composite_field<field_type<R, I>>(out, field<I>(value))), ...);
    }
    template <std::size_t... I>
    static R decode_fields(detail::parts_reader& reader, std::size_t& at, std::index_sequence<I...>) {
        return R{(at = I, codec<field_type<R, I>>::decode(detail::next_composite_field(reader, *fields[I])))...};
    }

public:
    static constexpr std::array<const value_shape*, field_count<R>> fields = shapes(indices{});
    static constexpr bool borrows = [] {
        bool any = false;
        for (const value_shape* shape : fields)
            any = any || shape->borrows;
        return any;
    }();

    static void encode(const R& value, buffer& out) {
        out.put(static_cast<std::int32_t>(field_count<R>));
        std::size_t at = 0;
        try {
            encode_fields(value, out, at, indices{});
        } catch (const encode_error& cause) {
            detail::rethrow_in_composite(cause, type_name<R>, names(indices{})[at]);
        }
    }
    static R decode(wire_value value) {
        detail::parts_reader reader(value, 0, type.name);
        detail::open_composite(reader, field_count<R>);
        std::size_t at = 0;
        try {
            R result = decode_fields(reader, at, indices{});
            reader.finish();
            return result;
        } catch (const decode_error& cause) {
            detail::rethrow_in_composite(cause, type_name<R>, names(indices{})[at]);
        }
    }
};

} // namespace tenon
