// The mapping of a record to its table.
//
//     struct User {
//         tenon::id<User> id{};
//         std::string     email;
//         static constexpr auto table = tenon::table("users", tenon::key<&User::id>, tenon::generated<&User::id>);
//     };
//
// A column is named like its field unless `named` says otherwise. For a struct that is not one's own,
// specialise `tenon::mapping<T>` with the same member instead.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include <tenon/codec/shape.hpp>
#include <tenon/core/literal.hpp>
#include <tenon/reflect/field.hpp>

namespace tenon {

template <auto... Members>
struct key_option {};
template <auto... Members>
struct generated_option {};
template <auto Member>
struct version_option {};
template <auto Member, literal Name>
struct named_option {};

/// The fields of the primary key, in its order: `key<&Line::order_id, &Line::position>`.
template <auto... Members>
inline constexpr key_option<Members...> key{};

/// Fields whose column the server fills (identity, default, generated): read back, never written.
template <auto... Members>
inline constexpr generated_option<Members...> generated{};

/// An integer field that counts the updates of its row, for optimistic locking: `update(row)` only finds the row with
/// the version that was read, and throws stale_record when somebody else was quicker. Every update adds one.
template <auto Member>
inline constexpr version_option<Member> version{};

/// A column that is not named like its field: `named<&User::klass, "class">`.
template <auto Member, literal Name>
inline constexpr named_option<Member, Name> named{};

template <class... Options>
struct table_definition {
    std::string_view name;
};

/// Maps a record to the table `name`, "users" or "app.users", on the search path or in a schema.
template <class... Options>
constexpr table_definition<Options...> table(std::string_view name, Options...) noexcept {
    return {name};
}

/// Where tenon looks for the mapping of a record.
template <class R>
struct mapping {};

template <class R>
    requires requires { R::table.name; }
struct mapping<R> {
    static constexpr auto table = R::table;
};

/// A struct with a mapping.
template <class R>
concept mapped_record = record<R> && requires { mapping<R>::table.name; };

namespace detail {

template <record R>
struct mapped_columns {
    std::array<column_shape, field_count<R>> columns{};
    std::array<std::size_t, field_count<R>> key{};
    std::size_t key_size = 0;
    std::size_t counter = field_count<R>; // or the field that counts updates

    template <auto... Members>
    consteval void apply(key_option<Members...>) {
        static_assert((std::is_same_v<record_of<Members>, R> && ...), "tenon: key<> names a field of another record");
        ((columns[field_index<Members>].key = true, key[key_size++] = field_index<Members>), ...);
    }
    template <auto... Members>
    consteval void apply(generated_option<Members...>) {
        static_assert((std::is_same_v<record_of<Members>, R> && ...),
                      "tenon: generated<> names a field of another record");
        ((columns[field_index<Members>].generated = true), ...);
    }
    template <auto Member>
    consteval void apply(version_option<Member>) {
        static_assert(std::is_same_v<record_of<Member>, R>, "tenon: version<> names a field of another record");
        static_assert(std::is_integral_v<member_type<Member>> && !std::is_same_v<member_type<Member>, bool>,
                      "tenon: version<> needs an integer field");
        columns[field_index<Member>].version = true;
        counter = field_index<Member>;
    }
    template <auto Member, literal Name>
    consteval void apply(named_option<Member, Name>) {
        static_assert(std::is_same_v<record_of<Member>, R>, "tenon: named<> names a field of another record");
        columns[field_index<Member>].column = named_option_text<Name>.view();
    }

    template <literal Name>
    static constexpr auto named_option_text = Name;
};

template <record R, class... Options>
consteval auto map_columns(table_definition<Options...>) {
    mapped_columns<R> mapped;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        static_assert((column_value<field_type<R, I>> && ...),
                      "tenon: a field of this record has a type without a codec: specialise tenon::codec for it");
        ((mapped.columns[I] = {.field = field_name<R, I>,
                               .column = field_name<R, I>,
                               .value = &shape_of<field_type<R, I>>}),
         ...);
    }(std::make_index_sequence<field_count<R>>{});
    (mapped.apply(Options{}), ...);
    return mapped;
}

template <mapped_record R>
inline constexpr auto columns_of = map_columns<R>(mapping<R>::table);

/// Number of the field that counts updates; the number of fields if none does.
template <mapped_record R>
inline constexpr std::size_t version_field = columns_of<R>.counter;

} // namespace detail

/// Fields and columns of a mapped record.
template <mapped_record R>
inline constexpr record_shape shape_of_record{type_name<R>, mapping<R>::table.name, detail::columns_of<R>.columns};

/// Number of fields in the primary key.
template <mapped_record R>
inline constexpr std::size_t key_size = detail::columns_of<R>.key_size;

/// Type of key field number `I`.
template <mapped_record R, std::size_t I>
using key_field_type = field_type<R, detail::columns_of<R>.key[I]>;

/// Column name of a member pointer.
template <auto Member>
inline constexpr std::string_view column_name =
    detail::columns_of<record_of<Member>>.columns[field_index<Member>].column;

} // namespace tenon
