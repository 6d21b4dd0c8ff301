// The rows of one table as values of one record.
//
// A repository refers to a transaction and holds nothing else: make one where it is needed. All SQL is a
// constant of the program; values travel as parameters.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <tenon/pg/copy_in.hpp>
#include <tenon/repository/selection.hpp>
#include <tenon/repository/staging_sql.hpp>
#include <tenon/repository/write_sql.hpp>

namespace tenon {

namespace detail {

template <class R, std::size_t... I>
auto key_type_of(std::index_sequence<I...>) {
    if constexpr (sizeof...(I) == 1)
        return std::type_identity<key_field_type<R, 0>>{};
    else
        return std::type_identity<std::tuple<key_field_type<R, I>...>>{};
}

} // namespace detail

/// The key of a record: its field's type, or a tuple for a key of several fields.
template <mapped_record R>
using key_type = typename decltype(detail::key_type_of<R>(std::make_index_sequence<key_size<R>>{}))::type;

namespace detail {

/// Throws stale_record.
[[noreturn]] void throw_stale(const record_shape& record);

/// Throws row_not_found for an operation by key.
[[noreturn]] void throw_no_such_key(std::string_view operation, const record_shape& record);

/// Values of the fields that INSERT fills, or UPDATE sets.
template <class R, bool WithKey>
inline constexpr auto written_fields = [] {
    struct {
        std::array<std::size_t, field_count<R>> index{};
        std::size_t size = 0;
    } written;
    for (std::size_t i = 0; i < field_count<R>; ++i)
        if (const auto& column = columns_of<R>.columns[i];
            !column.generated && (WithKey || (!column.key && !column.version)))
            written.index[written.size++] = i;
    return written;
}();

template <class R, bool WithKey, bool ThenKey>
inline constexpr auto written_shapes = [] {
    constexpr auto& fields = written_fields<R, WithKey>;
    constexpr bool then_version = ThenKey && version_field<R> != field_count<R>;
    std::array<const value_shape*, fields.size + (ThenKey ? key_size<R> : 0) + (then_version ? 1 : 0)> shapes{};
    std::size_t at = 0;
    for (std::size_t i = 0; i < fields.size; ++i)
        shapes[at++] = columns_of<R>.columns[fields.index[i]].value;
    if constexpr (ThenKey)
        for (std::size_t i = 0; i < key_size<R>; ++i)
            shapes[at++] = columns_of<R>.columns[columns_of<R>.key[i]].value;
    if constexpr (then_version)
        shapes[at++] = columns_of<R>.columns[version_field<R>].value;
    return shapes;
}();

template <class Sql>
constexpr statement make_statement(std::string_view operation, const record_shape& record,
                                   std::span<const value_shape* const> parameters, bool returns_record) {
    return {.sql = sql_text<Sql>,
            .operation = operation,
            .record = &record,
            .parameters = parameters,
            .returns_record = returns_record,
            .hash = hash_of(sql_text<Sql>),
            .constant = true};
}

// unnest() takes arrays apart to their elements, and composites to their attributes, so neither can travel in one.
template <class T>
inline constexpr bool fits_unnest_element = codec<typename not_null<T>::type>::type.array_id != 0;

template <class R>
inline constexpr bool fits_unnest = []<std::size_t... I>(std::index_sequence<I...>) {
    constexpr auto& fields = written_fields<R, true>;
    return sizeof...(I) > 0 && (fits_unnest_element<field_type<R, fields.index[I]>> && ...);
}(std::make_index_sequence<written_fields<R, true>.size>{});

template <class R, std::size_t... I>
key_type<R> decode_key(const result& rows, std::size_t row, std::index_sequence<I...>) {
    std::array<wire_value, sizeof...(I)> values;
    rows.row(row, values);
    return key_type<R>{codec<key_field_type<R, I>>::decode(values[I])...};
}

template <class R, std::size_t... I>
key_type<R> key_of_record(const R& row, std::index_sequence<I...>) {
    return key_type<R>{field<columns_of<R>.key[I]>(row)...};
}

template <class R>
R decode_first(const result& rows, std::string_view operation) {
    require_own_bytes<R>();
    if (rows.empty())
        throw_no_such_key(operation, shape_of_record<R>);
    return decode_record<R>(rows, 0, shape_of_record<R>);
}

template <class R>
R decode_stored(const result& rows) {
    return decode_first<R>(rows, {});
}

template <class R>
R decode_existing(const result& rows) {
    return decode_first<R>(rows, "get or update");
}

template <class R>
R decode_current(const result& rows) {
    require_own_bytes<R>();
    if (rows.empty())
        throw_stale(shape_of_record<R>);
    return decode_record<R>(rows, 0, shape_of_record<R>);
}

template <class R>
std::optional<R> decode_found(const result& rows) {
    require_own_bytes<R>();
    if (rows.empty())
        return std::nullopt;
    return decode_record<R>(rows, 0, shape_of_record<R>);
}

inline bool decode_touched(const result& rows) {
    return rows.affected() > 0;
}

} // namespace detail

/// `Executor` is `transaction`, whose operations return their result, or `pipeline`, whose operations return it as
/// `pending`. "Returns" below means either.
template <class R, class Executor = transaction>
class repository {
    static_assert(record<R>, "tenon: a record is an aggregate struct without bases and constructors");
    static_assert(!record<R> || mapped_record<R>,
                  "tenon: this struct is not mapped to a table: give it `static constexpr auto table = "
                  "tenon::table(\"name\", tenon::key<&T::id>);` or specialise tenon::mapping");

    template <class T>
    using answer = typename Executor::template answer<T>;

public:
    explicit repository(Executor& on) noexcept : on_(&on) {}

    /// Stores a row and returns it as the server stored it, generated columns filled.
    /// Throws unique_violation and its kin, schema_mismatch, encode_error, connection_lost.
    answer<R> insert(const R& row) {
        static constexpr statement what = detail::make_statement<detail::insert_sql<R>>(
            "insert into", shape_of_record<R>, detail::written_shapes<R, true, false>, true);
        parameter_list<what.parameters.size()> values;
        add_written<true>(values, row);
        return on_->template run<R>(what, values, detail::decode_stored<R>);
    }

    /// Stores many rows and returns their keys in the order of `rows`: about 1,000 a statement, or one a statement
    /// where the record holds arrays or composites.
    /// Throws as `insert`; all rows of the transaction are lost then, as with any failed statement.
    template <class Rows>
        requires std::forward_iterator<decltype(std::begin(std::declval<Rows&>()))> // <ranges> costs 0.3 s to compile
    std::vector<key_type<R>> insert_many(Rows&& rows) {
        static_assert(std::is_same_v<Executor, transaction>, "tenon: insert_many runs on a transaction");
        static_assert(key_size<R> > 0, "tenon: insert_many returns keys: add tenon::key<...> to the table");
        std::vector<key_type<R>> keys;
        const auto last = std::end(rows);
        keys.reserve(static_cast<std::size_t>(std::distance(std::begin(rows), last)));
        if constexpr (detail::fits_unnest<R>) {
            for (auto first = std::begin(rows); first != last;) {
                auto chunk_end = first;
                std::size_t size = 0;
                for (; chunk_end != last && size < rows_per_statement; ++chunk_end)
                    ++size;
                insert_chunk(first, chunk_end, size, keys);
                first = chunk_end;
            }
        } else {
            for (auto row = std::begin(rows); row != last; ++row)
                keys.push_back(detail::key_of_record<R>(insert(*row), std::make_index_sequence<key_size<R>>{}));
        }
        return keys;
    }

    /// Stores many rows by COPY, the quickest way; returns how many. Every written field needs exactly its column's
    /// type. Throws schema_mismatch, and as `insert`; nothing is stored then.
    template <class Rows>
        requires std::input_iterator<decltype(std::begin(std::declval<Rows&>()))>
    std::uint64_t copy_in(Rows&& rows) {
        return copy_in([&rows](auto& sink) {
            for (auto&& row : rows)
                sink(row);
        });
    }

    /// The same with rows made on the way: `users.copy_in([&](auto& sink) { while (...) sink(user); })`.
    template <class Producer>
        requires(!requires(Producer& producer) { std::begin(producer); })
    std::uint64_t copy_in(Producer&& produce) {
        static_assert(std::is_same_v<Executor, transaction>, "tenon: copy_in runs on a transaction");
        return copy_by<detail::copy_in_sql<R>>(produce);
    }

    /// All rows by COPY, one by one: the quickest way out of a whole table. Every field needs exactly its column's
    /// type. Throws schema_mismatch.
    [[nodiscard]] stream<R> copy_out() {
        static_assert(std::is_same_v<Executor, transaction>, "tenon: copy_out runs on a transaction");
        static constexpr statement what =
            detail::make_statement<detail::copy_out_sql<R>>("copy from", shape_of_record<R>, {}, true);
        return stream<R>(open_copy_out(*on_, what));
    }

    /// The row of this key, or nullopt.
    template <class... Key>
    [[nodiscard]] answer<std::optional<R>> find(const Key&... key) {
        require_key<Key...>();
        if constexpr (is_key<Key...>())
            return run_by_key<detail::find_sql<R>, std::optional<R>>(detail::decode_found<R>, key...);
    }

    /// The row of this key. Throws row_not_found.
    template <class... Key>
    [[nodiscard]] answer<R> get(const Key&... key) {
        require_key<Key...>();
        if constexpr (is_key<Key...>())
            return run_by_key<detail::find_sql<R>, R>(detail::decode_existing<R>, key...);
    }

    /// The rows of these keys that exist, in no particular order, by one statement: the quickest way to fetch many.
    [[nodiscard]] answer<std::vector<R>> find_many(const std::vector<key_type<R>>& keys) {
        static_assert(key_size<R> == 1, "tenon: find_many needs a key of one field");
        static constexpr statement what = detail::make_statement<detail::find_many_sql<R>>(
            "select from", shape_of_record<R>, shapes_of<std::vector<key_type<R>>>, true);
        parameter_list<1> values;
        values.add(keys);
        return on_->template run<std::vector<R>>(what, values, detail::decode_all<R>);
    }

    /// Sets all columns of the row with this record's key, but generated ones; returns the stored row. With a
    /// tenon::version, only if the row still has the record's version.
    /// Throws row_not_found (stale_record with a version), and as `insert`.
    answer<R> update(const R& row) {
        static_assert(key_size<R> > 0, "tenon: update needs a key: add tenon::key<...> to the table");
        static_assert(detail::written_fields<R, false>.size > 0,
                      "tenon: update has nothing to set: every field is a key or generated");
        static constexpr statement what = detail::make_statement<detail::update_sql<R>>(
            "update", shape_of_record<R>, detail::written_shapes<R, false, true>, true);
        parameter_list<what.parameters.size()> values;
        add_written<false>(values, row);
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (values.add(field<detail::columns_of<R>.key[I]>(row)), ...);
        }(std::make_index_sequence<key_size<R>>{});
        if constexpr (detail::version_field<R> != field_count<R>) {
            values.add(field<detail::version_field<R>>(row));
            return on_->template run<R>(what, values, detail::decode_current<R>);
        } else
            return on_->template run<R>(what, values, detail::decode_existing<R>);
    }

    /// Sets one column of the row with a key of one field; returns the stored row. Throws row_not_found.
    template <class Key, auto Member, class Value>
    answer<R> update(const Key& key, const column<Member>& target, const Value& value) {
        return update(key, target = value);
    }

    /// Sets some columns: `update(id, col<&User::bio> = "...", col<&User::visits> += 1)`; a key of several fields
    /// is a std::tuple. Returns the stored row. Throws row_not_found.
    template <class Key, assignment... Assignments>
        requires(sizeof...(Assignments) > 0)
    answer<R> update(const Key& key, const Assignments&... assignments) {
        static_assert((std::is_same_v<record_of<Assignments::member>, R> && ...),
                      "tenon: update takes columns of this repository's record only");
        static_assert(key_size<R> > 0, "tenon: update needs a key: add tenon::key<...> to the table");
        static_assert(key_size<R> == 0 || fits_key<Key>(), "tenon: this is not the type of the record's key");
        if constexpr (fits_key<Key>() && (std::is_same_v<record_of<Assignments::member>, R> && ...)) {
            static constexpr auto shapes = [] {
                std::array<const value_shape*, sizeof...(Assignments) + key_size<R>> list{
                    &shape_of<typename Assignments::value_type>...};
                for (std::size_t i = 0; i < key_size<R>; ++i)
                    list[sizeof...(Assignments) + i] =
                        detail::columns_of<R>.columns[detail::columns_of<R>.key[i]].value;
                return list;
            }();
            static constexpr statement what = detail::make_statement<detail::assign_sql<R, Assignments...>>(
                "update", shape_of_record<R>, shapes, true);
            parameter_list<what.parameters.size()> values;
            (detail::bind_for<Assignments::member>(values, assignments.value), ...);
            const key_type<R> exact = detail::as_column_value<key_type<R>>(key);
            if constexpr (key_size<R> == 1)
                values.add(exact);
            else
                std::apply([&](const auto&... part) { (values.add(part), ...); }, exact);
            return on_->template run<R>(what, values, detail::decode_existing<R>);
        }
    }

    /// Stores a row, or updates the one that has the same values in the unique columns `Target`; returns the
    /// stored row. `upsert(row)` goes by the key, `upsert<&User::email>(row)` by other unique columns.
    /// Throws as `insert`; the server demands a unique index on the target.
    template <auto... Target>
    answer<R> upsert(const R& row) {
        require_target<Target...>();
        static constexpr statement what = detail::make_statement<detail::upsert_sql<R, Target...>>(
            "upsert into", shape_of_record<R>, detail::written_shapes<R, true, false>, true);
        parameter_list<what.parameters.size()> values;
        add_written<true>(values, row);
        return on_->template run<R>(what, values, detail::decode_stored<R>);
    }

    /// `upsert` of many rows: by COPY into a staging table, then one statement; returns how many were stored. Needs
    /// the right to make temporary tables.
    /// Throws as `copy_in`; error with SQLSTATE 21000 when two of the rows have the same values in `Target`.
    template <auto... Target, class Rows>
        requires std::input_iterator<decltype(std::begin(std::declval<Rows&>()))>
    std::uint64_t upsert_many(Rows&& rows) {
        require_target<Target...>();
        return take_over_staged<detail::upsert_staged_sql<R, Target...>>("upsert into", rows);
    }

    /// Stores the rows whose key is new and sets all columns of those that differ, by MERGE from a staging table;
    /// returns how many were stored or changed. A row that is the same is not touched. The key needs no unique
    /// index, and every type an equality operator (jsonb has one, json has none). Unlike `upsert_many`, MERGE
    /// fails with unique_violation when another transaction inserts the same key meanwhile.
    /// Throws as `copy_in`; error with SQLSTATE 21000 when two of the rows have the same key.
    template <class Rows>
        requires std::input_iterator<decltype(std::begin(std::declval<Rows&>()))>
    std::uint64_t merge(Rows&& rows) {
        static_assert(key_size<R> > 0, "tenon: merge needs a key: add tenon::key<...> to the table");
        static_assert(!generated_key(),
                      "tenon: the key of this record is generated, so a merge would never meet a row");
        return take_over_staged<detail::merge_staged_sql<R>>("merge into", rows);
    }

    /// Deletes the row of this key; false if there was none. Throws foreign_key_violation.
    template <class... Key>
    answer<bool> erase(const Key&... key) {
        require_key<Key...>();
        if constexpr (is_key<Key...>())
            return run_by_key<detail::erase_sql<R>, bool>(detail::decode_touched, key...);
    }

    /// Rows that meet a condition: `where(col<&User::name> == "Ada")`.
    template <condition C>
    [[nodiscard]] auto where(C filter) {
        static_assert(std::is_same_v<Executor, transaction>, "tenon: where runs on a transaction");
        static_assert(std::is_same_v<typename C::record_type, R>,
                      "tenon: where takes columns of this repository's record only");
        if constexpr (std::is_same_v<typename C::record_type, R>)
            return selection<R, C, false>(*on_, std::move(filter));
    }

    /// All rows, as a selection that can be ordered and limited.
    [[nodiscard]] auto every() { return selection<R, everything<R>, false>(*on_, {}); }
    template <class... Columns>
    [[nodiscard]] auto order_by(const Columns&... columns) {
        return every().order_by(columns...);
    }
    [[nodiscard]] std::vector<R> all() { return every().all(); }
    [[nodiscard]] std::int64_t count() { return every().count(); }
    [[nodiscard]] bool exists() { return every().exists(); }

private:
    // Beyond about a thousand rows a statement, larger arrays cost more than fewer round trips save.
    static constexpr std::size_t rows_per_statement = 1000;

    static constexpr bool generated_key() {
        for (const std::size_t field : detail::key_of<R>())
            if (detail::columns_of<R>.columns[field].generated)
                return true;
        return false;
    }

    template <auto... Target>
    static constexpr void require_target() {
        static_assert((std::is_same_v<record_of<Target>, R> && ...),
                      "tenon: upsert takes columns of this repository's record only");
        static_assert(sizeof...(Target) > 0 || key_size<R> > 0,
                      "tenon: upsert needs a key, or unique columns: upsert<&T::email>(row)");
        static_assert(sizeof...(Target) > 0 || !generated_key(),
                      "tenon: the key of this record is generated, so an upsert by key would never meet a row: name "
                      "the unique columns, upsert<&T::email>(row)");
    }

    template <class Sql, class Producer>
    std::uint64_t copy_by(Producer& produce) {
        static constexpr auto& fields = detail::written_fields<R, true>;
        static constexpr statement what = detail::make_statement<Sql>("copy into", shape_of_record<R>, {}, false);
        tenon::copy_in rows(*on_, what, std::span(fields.index).first(fields.size));
        auto sink = [&rows](const R& row) {
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                rows.add_row(field<fields.index[I]>(row)...);
            }(std::make_index_sequence<fields.size>{});
        };
        produce(sink);
        return rows.finish();
    }

    template <class Sql, class Rows>
    std::uint64_t take_over_staged(std::string_view operation, Rows& rows) {
        static_assert(std::is_same_v<Executor, transaction>, "tenon: rows are staged on a transaction");
        (void)on_->execute(sql_text<detail::create_staging_sql<R>>);
        auto produce = [&rows](auto& sink) {
            for (auto&& row : rows)
                sink(row);
        };
        (void)copy_by<detail::copy_to_staging_sql<R>>(produce);
        const statement what = detail::make_statement<Sql>(operation, shape_of_record<R>, {}, false);
        parameter_list<0> none;
        const std::uint64_t stored = on_->execute(what, none).affected();
        (void)on_->execute(detail::drop_staging_table);
        return stored;
    }

    template <class... Key>
    static constexpr bool is_key() {
        if constexpr (sizeof...(Key) != key_size<R> || sizeof...(Key) == 0)
            return false;
        else
            return []<std::size_t... I>(std::index_sequence<I...>) {
                return (detail::stands_for<key_field_type<R, I>, Key> && ...);
            }(std::make_index_sequence<sizeof...(Key)>{});
    }
    template <class Key>
    static constexpr bool fits_key() {
        if constexpr (key_size<R> == 0)
            return false;
        else
            return detail::stands_for<key_type<R>, Key>;
    }
    template <class... Key>
    static constexpr void require_key() {
        static_assert(key_size<R> > 0, "tenon: this record has no key: add tenon::key<...> to its table");
        static_assert(key_size<R> == 0 || is_key<Key...>(),
                      "tenon: these are not the types of the record's key fields, in their order");
    }

    template <bool WithKey>
    static void add_written(parameters& values, const R& row) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            constexpr auto& fields = detail::written_fields<R, WithKey>;
            std::size_t at = 0;
            try {
                ((at = fields.index[I], values.add(field<fields.index[I]>(row))), ...);
            } catch (const encode_error& cause) {
                detail::rethrow_with_field(cause, shape_of_record<R>, at);
            }
        }(std::make_index_sequence<detail::written_fields<R, WithKey>.size>{});
    }

    template <class Sql, class T, class... Key>
    answer<T> run_by_key(T (*decode)(const result&), const Key&... key) {
        constexpr bool returns_record = !std::is_same_v<T, bool>;
        static constexpr auto shapes = [] {
            std::array<const value_shape*, key_size<R>> list{};
            for (std::size_t i = 0; i < key_size<R>; ++i)
                list[i] = detail::columns_of<R>.columns[detail::columns_of<R>.key[i]].value;
            return list;
        }();
        static constexpr statement what = detail::make_statement<Sql>(returns_record ? "select from" : "delete from",
                                                                      shape_of_record<R>, shapes, returns_record);
        parameter_list<key_size<R>> values;
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            const std::tuple<key_field_type<R, I>...> converted{detail::as_column_value<key_field_type<R, I>>(key)...};
            (detail::bind_field(values, std::get<I>(converted), shape_of_record<R>, detail::columns_of<R>.key[I]), ...);
            return on_->template run<T>(what, values, decode);
        }(std::make_index_sequence<key_size<R>>{});
    }

    // One statement for all rows from `first` to `last`: an array per column.
    template <class Iterator>
    void insert_chunk(Iterator first, Iterator last, std::size_t size, std::vector<key_type<R>>& keys) {
        static constexpr auto& fields = detail::written_fields<R, true>;
        static constexpr auto shapes = []<std::size_t... I>(std::index_sequence<I...>) {
            return shapes_of<std::vector<field_type<R, fields.index[I]>>...>;
        }(std::make_index_sequence<fields.size>{});
        static constexpr statement what =
            detail::make_statement<detail::insert_many_sql<R>>("insert into", shape_of_record<R>, shapes, false);
        parameter_list<fields.size> values;
        const auto add_column = [&]<std::size_t Field>(std::integral_constant<std::size_t, Field>) {
            using value = field_type<R, Field>;
            const std::size_t at = values.bytes().size();
            try {
                detail::put_array_header(values.bytes(), codec<std::vector<value>>::element::type.id, size);
                detail::put_parts<value>(values.bytes(), first, last, [](const auto& row) -> const value& {
                    return field<Field>(static_cast<const R&>(row));
                });
            } catch (const encode_error& cause) {
                detail::rethrow_with_field(cause, shape_of_record<R>, Field);
            }
            values.push_encoded(at);
        };
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (add_column(std::integral_constant<std::size_t, fields.index[I]>{}), ...);
        }(std::make_index_sequence<fields.size>{});
        const result rows = on_->execute(what, values);
        for (std::size_t row = 0; row < rows.size(); ++row)
            keys.push_back(detail::decode_key<R>(rows, row, std::make_index_sequence<key_size<R>>{}));
    }

    Executor* on_;
};

} // namespace tenon
