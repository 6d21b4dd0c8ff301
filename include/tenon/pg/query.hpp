// SQL of one's own with types: for everything that a repository does not say.
//
//     constexpr tenon::query<Stats, tenon::uuid> stats{"select count(*) as orders, sum(total) as revenue"
//                                                      " from orders where tenant = $1"};
//     Stats mine = stats.one(tx, tenant);
//
// The result is a record (its columns have the names of the fields, in order), a std::tuple, or a single value. On
// first use in a session the server describes the statement, and names and types are checked before it is run;
// `check_queries` does so for a list of queries, from a test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <tenon/pg/row.hpp>
#include <tenon/pg/transaction.hpp>
#include <tenon/reflect/field.hpp>

namespace tenon {

namespace detail {

template <class T>
inline constexpr bool is_tuple = false;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;

/// Shapes of the columns that a query's result needs, and the names where it is a record.
template <class Result>
struct result_columns {
    static_assert(column_value<Result>, "tenon: a query's result is a record, a std::tuple or a type with a codec");
    static constexpr std::size_t size = 1;
    static constexpr std::array<const value_shape*, 1> shapes{&shape_of<Result>};
    static constexpr std::array<std::string_view, 0> names{};

    static Result decode(const wire_value* values) { return codec<Result>::decode(*values); }
};

template <class... T>
struct result_columns<std::tuple<T...>> {
    static constexpr std::size_t size = sizeof...(T);
    static constexpr std::array<const value_shape*, size> shapes{&shape_of<T>...};
    static constexpr std::array<std::string_view, 0> names{};

    static std::tuple<T...> decode(const wire_value* values) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple<T...>{codec<T>::decode(values[I])...};
        }(std::index_sequence_for<T...>{});
    }
};

template <class R>
    requires(record<R> && !column_value<R>)
struct result_columns<R> {
    static constexpr std::size_t size = field_count<R>;
    static constexpr auto shapes = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<const value_shape*, size>{&shape_of<field_type<R, I>>...};
    }(std::make_index_sequence<size>{});
    static constexpr auto names = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<std::string_view, size>{field_name<R, I>...};
    }(std::make_index_sequence<size>{});
    static constexpr auto columns = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<column_shape, size>{
            column_shape{.field = names[I], .column = names[I], .value = shapes[I]}...};
    }(std::make_index_sequence<size>{});
    static constexpr record_shape named{type_name<R>, "the query's result", columns};

    static R decode(const wire_value* values) { return decode_values<R>(values, named); }
};

/// Throws row_not_found or too_many_rows.
[[noreturn]] void throw_not_one(std::string_view sql, std::size_t found);

} // namespace detail

/// A statement with the types of its result and its parameters. A literal type: declare queries constexpr.
template <class Result, column_value... Parameters>
class query {
public:
    /// `sql` is not copied: a string literal.
    constexpr explicit query(std::string_view sql) noexcept
        : statement_{.sql = sql,
                     .operation = "query",
                     .parameters = shapes_of<Parameters...>,
                     .results = columns::shapes,
                     .result_names = columns::names,
                     .hash = hash_of(sql)} {}

    [[nodiscard]] constexpr const statement& what() const noexcept { return statement_; }

    /// All rows. Throws schema_mismatch before anything is run, decode_error, and what the statement throws.
    [[nodiscard]] std::vector<Result> all(transaction& tx, const Parameters&... parameters) const {
        const result rows = run(tx, parameters...);
        std::vector<Result> list;
        list.reserve(rows.size());
        for (std::size_t row = 0; row < rows.size(); ++row)
            list.push_back(decode(rows, row));
        return list;
    }

    /// The first row, or nullopt.
    [[nodiscard]] std::optional<Result> first(transaction& tx, const Parameters&... parameters) const {
        const result rows = run(tx, parameters...);
        if (rows.empty())
            return std::nullopt;
        return decode(rows, 0);
    }

    /// The only row. Throws row_not_found, too_many_rows.
    [[nodiscard]] Result one(transaction& tx, const Parameters&... parameters) const {
        const result rows = run(tx, parameters...);
        if (rows.size() != 1)
            detail::throw_not_one(statement_.sql, rows.size());
        return decode(rows, 0);
    }

private:
    using columns = detail::result_columns<Result>;
    static_assert(detail::own_their_bytes(columns::shapes),
                  "tenon: a query's result outlives its rows, so it cannot hold a string_view or bytes_view");

    result run(transaction& tx, const Parameters&... parameters) const {
        parameter_list<sizeof...(Parameters)> values;
        (values.add(parameters), ...);
        return tx.execute(statement_, values);
    }

    static Result decode(const result& rows, std::size_t row) {
        std::array<wire_value, columns::size> values;
        rows.row(row, values);
        return columns::decode(values.data());
    }

    statement statement_;
};

/// A statement without rows; `run` returns how many it touched.
template <column_value... Parameters>
class query<void, Parameters...> {
public:
    constexpr explicit query(std::string_view sql) noexcept
        : statement_{.sql = sql, .operation = "query", .parameters = shapes_of<Parameters...>, .hash = hash_of(sql)} {}

    [[nodiscard]] constexpr const statement& what() const noexcept { return statement_; }

    std::uint64_t run(transaction& tx, const Parameters&... parameters) const {
        parameter_list<sizeof...(Parameters)> values;
        (values.add(parameters), ...);
        return tx.execute(statement_, values).affected();
    }

private:
    statement statement_;
};

/// Has the server describe every statement and checks it, without running any.
/// Throws schema_mismatch with one report of all that do not fit; the transaction stays usable.
void check_statements(transaction& tx, std::span<const statement* const> statements);

/// The same for queries: call it from a test with all that a program declares.
template <class... Queries>
void check_queries(transaction& tx, const Queries&... queries) {
    const std::array<const statement*, sizeof...(Queries)> list{&queries.what()...};
    check_statements(tx, list);
}

} // namespace tenon
