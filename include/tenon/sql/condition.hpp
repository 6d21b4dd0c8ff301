// Conditions of WHERE, written with C++ operators on columns.
//
//     col<&User::name> == "Ada" && (col<&User::bio> != std::nullopt || !(col<&User::age> < 18))
//
// A condition's type is its SQL, its object holds the values: the text is a compile-time constant and the
// values travel as parameters. It owns copies of its values.
#pragma once

#include <array>
#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tenon/codec/array.hpp>
#include <tenon/codec/parameters.hpp>
#include <tenon/sql/column.hpp>
#include <tenon/sql/writer.hpp>

namespace tenon {

namespace detail {

struct condition_tag {};

/// Binds a value for a field of the record. Throws encode_error that names it.
template <class Value>
void bind_field(parameters& to, const Value& value, const record_shape& record, std::size_t field) {
    try {
        to.add(value);
    } catch (const encode_error& cause) {
        rethrow_with_field(cause, record, field);
    }
}

/// Binds a value for the column of a member.
template <auto Member, class Value>
void bind_for(parameters& to, const Value& value) {
    bind_field(to, value, shape_of_record<record_of<Member>>, field_index<Member>);
}

} // namespace detail

/// Every condition has: `record_type`, the number of its `parameters`, `render` for its SQL, `shapes` for
/// the types of its parameters and `bind` for their values.
template <class C>
concept condition = std::derived_from<C, detail::condition_tag>;

/// `column <op> $n`.
template <auto Member, literal Operator, class Value = typename column<Member>::value_type>
struct comparison : detail::condition_tag {
    using record_type = record_of<Member>;
    static constexpr std::size_t parameters = 1;
    Value value;

    explicit comparison(Value v) : value(std::move(v)) {}
    static constexpr void render(sql_writer& out) {
        out.identifier(column_name<Member>).put(Operator.view()).parameter();
    }
    static constexpr void shapes(const value_shape**& out) { *out++ = &shape_of<Value>; }
    void bind(tenon::parameters& to) const { detail::bind_for<Member>(to, value); }
};

/// `column = any($n)`.
template <auto Member>
struct membership : detail::condition_tag {
    using record_type = record_of<Member>;
    using list = std::vector<typename column<Member>::value_type>;
    static constexpr std::size_t parameters = 1;
    list values;

    explicit membership(list v) : values(std::move(v)) {}
    static constexpr void render(sql_writer& out) {
        out.identifier(column_name<Member>).put(" = any(").parameter().put(")");
    }
    static constexpr void shapes(const value_shape**& out) { *out++ = &shape_of<list>; }
    void bind(tenon::parameters& to) const { detail::bind_for<Member>(to, values); }
};

/// `column is null` and `column is not null`.
template <auto Member, bool Null>
struct null_test : detail::condition_tag {
    using record_type = record_of<Member>;
    static constexpr std::size_t parameters = 0;
    static constexpr void render(sql_writer& out) {
        out.identifier(column_name<Member>).put(Null ? " is null" : " is not null");
    }
    static constexpr void shapes(const value_shape**&) {}
    void bind(tenon::parameters&) const {}
};

template <condition Left, literal Word, condition Right>
struct junction : detail::condition_tag {
    static_assert(std::same_as<typename Left::record_type, typename Right::record_type>,
                  "tenon: both sides of && and || must be about columns of the same record");
    using record_type = typename Left::record_type;
    static constexpr std::size_t parameters = Left::parameters + Right::parameters;
    Left left;
    Right right;

    junction(Left l, Right r) : left(std::move(l)), right(std::move(r)) {}
    static constexpr void render(sql_writer& out) {
        out.put("(");
        Left::render(out);
        out.put(Word.view());
        Right::render(out);
        out.put(")");
    }
    static constexpr void shapes(const value_shape**& out) {
        Left::shapes(out);
        Right::shapes(out);
    }
    void bind(tenon::parameters& to) const {
        left.bind(to);
        right.bind(to);
    }
};

template <condition Inner>
struct negation : detail::condition_tag {
    using record_type = typename Inner::record_type;
    static constexpr std::size_t parameters = Inner::parameters;
    Inner inner;

    explicit negation(Inner i) : inner(std::move(i)) {}
    static constexpr void render(sql_writer& out) {
        out.put("not (");
        Inner::render(out);
        out.put(")");
    }
    static constexpr void shapes(const value_shape**& out) { Inner::shapes(out); }
    void bind(tenon::parameters& to) const { inner.bind(to); }
};

/// The condition of a query without one.
template <class R>
struct everything : detail::condition_tag {
    using record_type = R;
    static constexpr std::size_t parameters = 0;
    static constexpr void render(sql_writer&) {}
    static constexpr void shapes(const value_shape**&) {}
    void bind(tenon::parameters&) const {}
};

namespace detail {

template <auto Member, literal Operator, class V>
auto compare(const V& value) {
    using T = typename column<Member>::value_type;
    static_assert(stands_for<T, V>, "tenon: this column cannot be compared with a value of that type");
    if constexpr (stands_for<T, V>)
        return comparison<Member, Operator>{as_column_value<T>(value, column_name<Member>)};
}

} // namespace detail

template <auto M, class V>
auto operator==(const column<M>&, const V& value) {
    return detail::compare<M, " = ">(value);
}
template <auto M, class V>
auto operator!=(const column<M>&, const V& value) {
    return detail::compare<M, " <> ">(value);
}
template <auto M, class V>
auto operator<(const column<M>&, const V& value) {
    return detail::compare<M, " < ">(value);
}
template <auto M, class V>
auto operator<=(const column<M>&, const V& value) {
    return detail::compare<M, " <= ">(value);
}
template <auto M, class V>
auto operator>(const column<M>&, const V& value) {
    return detail::compare<M, " > ">(value);
}
template <auto M, class V>
auto operator>=(const column<M>&, const V& value) {
    return detail::compare<M, " >= ">(value);
}

/// `col<...> == std::nullopt` is IS NULL, `!=` is IS NOT NULL.
template <auto M>
auto operator==(const column<M>&, std::nullopt_t) {
    return null_test<M, true>{};
}
template <auto M>
auto operator!=(const column<M>&, std::nullopt_t) {
    return null_test<M, false>{};
}

/// LIKE: `%` stands for any text, `_` for one character.
template <auto M>
    requires std::same_as<typename column<M>::value_type, std::string>
auto like(const column<M>&, std::string_view pattern) {
    return comparison<M, " like ">{std::string(pattern)};
}

/// The column has one of the listed values; no value is ever in an empty list.
template <auto M>
auto in(const column<M>&, std::vector<typename column<M>::value_type> values) {
    return membership<M>{std::move(values)};
}

template <condition L, condition R>
auto operator&&(L left, R right) {
    return junction<L, " and ", R>{std::move(left), std::move(right)};
}
template <condition L, condition R>
auto operator||(L left, R right) {
    return junction<L, " or ", R>{std::move(left), std::move(right)};
}
template <condition C>
auto operator!(C inner) {
    return negation<C>{std::move(inner)};
}

} // namespace tenon
