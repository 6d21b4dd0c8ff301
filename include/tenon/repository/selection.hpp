// SELECT on one table: `users.where(...).order_by(...).limit(10)`.
//
// Each step gives a new selection; nothing is sent until rows are asked for. It refers to its transaction,
// which must outlive it, and may be run again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tenon/core/error.hpp>
#include <tenon/pg/row.hpp>
#include <tenon/pg/transaction.hpp>
#include <tenon/repository/stream.hpp>
#include <tenon/repository/write_sql.hpp>
#include <tenon/sql/condition.hpp>
#include <tenon/sql/ordering.hpp>
#include <tenon/sql/table.hpp>
#include <tenon/sql/writer.hpp>

namespace tenon {

namespace detail {

/// What to read of the rows that a selection names.
enum class projection { records, count, existence };

template <class R, class Condition, projection What, bool Limited, class... Orderings>
struct select_sql {
    static constexpr void render(sql_writer& out) {
        const record_shape& record = shape_of_record<R>;
        if constexpr (What == projection::records) {
            out.put("select ");
            put_columns(out, record);
        } else if constexpr (What == projection::count)
            out.put("select pg_catalog.count(*) from (select 1");
        else
            out.put("select exists (select 1");
        out.put(" from ").table(record.table);
        if constexpr (!std::is_same_v<Condition, everything<R>>) {
            out.put(" where ");
            Condition::render(out);
        }
        if constexpr (What == projection::records) {
            std::string_view between = " order by ";
            ((out.put(between), Orderings::render(out), between = ", "), ...);
        }
        if constexpr (Limited)
            out.put(" limit ").parameter();
        if constexpr (What == projection::count)
            out.put(") counted");
        else if constexpr (What == projection::existence)
            out.put(")");
    }
};

template <class Condition, bool Limited>
inline constexpr auto selection_shapes = [] {
    std::array<const value_shape*, Condition::parameters + (Limited ? 1 : 0)> shapes{};
    const value_shape** out = shapes.data();
    Condition::shapes(out);
    if constexpr (Limited)
        *out++ = &shape_of<std::int64_t>;
    return shapes;
}();

template <class R, class Condition, projection What, bool Limited, class... Orderings>
inline constexpr statement select_statement = [] {
    using sql = select_sql<R, Condition, What, Limited, Orderings...>;
    return statement{.sql = sql_text<sql>,
                     .operation = "select from",
                     .record = &shape_of_record<R>,
                     .parameters = selection_shapes<Condition, Limited>,
                     .results = What == projection::records ? std::span<const value_shape* const>{}
                                : What == projection::count
                                    ? std::span<const value_shape* const>{shapes_of<std::int64_t>}
                                    : std::span<const value_shape* const>{shapes_of<bool>},
                     .returns_record = What == projection::records,
                     .hash = hash_of(sql_text<sql>),
                     .constant = true};
}();

/// Refuses records that would point into rows which are gone by then.
template <class R>
constexpr void require_own_bytes() {
    constexpr bool owns = [] {
        for (const column_shape& column : shape_of_record<R>.columns)
            if (column.value->borrows)
                return false;
        return true;
    }();
    static_assert(owns,
                  "tenon: a record with string_view or bytes_view fields lives only as long as its rows: read it by "
                  "rows(), stream() or a range-for");
}

template <class R>
std::vector<R> decode_all(const result& rows) {
    require_own_bytes<R>();
    const std::size_t size = rows.size();
    std::vector<R> list;
    list.reserve(size);
    for (std::size_t row = 0; row < size; ++row) {
        const auto make = [&] { return decode_record<R>(rows, row, shape_of_record<R>); };
        list.emplace_back(made_in_place{make});
    }
    return list;
}

/// Throws row_not_found or too_many_rows.
[[noreturn]] void throw_not_one(const record_shape& record, std::size_t found);

} // namespace detail

/// Rows of one statement, decoded one by one as the loop goes on.
template <mapped_record R>
class records {
public:
    explicit records(result rows) noexcept : rows_(std::move(rows)) {}

    class iterator {
    public:
        using value_type = R;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(const records& of) : of_(&of) { read(); }
        [[nodiscard]] const R& operator*() const noexcept { return *current_; }
        [[nodiscard]] const R* operator->() const noexcept { return &*current_; }
        iterator& operator++() {
            ++row_;
            read();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
            return at.row_ >= at.of_->size();
        }

    private:
        void read() {
            if (row_ < of_->size())
                current_.emplace(decode_record<R>(of_->rows_, row_, shape_of_record<R>));
        }
        const records* of_ = nullptr;
        std::size_t row_ = 0;
        std::optional<R> current_;
    };

    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    result rows_;
};

template <mapped_record R, condition Condition, bool Limited, class... Orderings>
class selection {
public:
    selection(transaction& tx, Condition condition, std::int64_t limit = 0)
        : transaction_(&tx), condition_(std::move(condition)), limit_(limit) {}

    /// Sorts by columns of this record: `order_by(desc(col<&User::created_at>), col<&User::name>)`.
    template <class... Columns>
    [[nodiscard]] auto order_by(const Columns&... columns) const {
        static_assert((std::is_same_v<typename Columns::record_type, R> && ...),
                      "tenon: order_by takes columns of this repository's record only");
        static_assert(sizeof...(Orderings) == 0, "tenon: order_by is given once, with all its columns");
        return selection<R, Condition, Limited, decltype(as_ordering(columns))...>(*transaction_, condition_, limit_);
    }

    /// At most `rows` rows. Throws usage_error when it is negative.
    [[nodiscard]] auto limit(std::int64_t rows) const {
        if (rows < 0)
            throw usage_error("limit must not be negative");
        return selection<R, Condition, true, Orderings...>(*transaction_, condition_, rows);
    }

    /// Runs it and gives the rows to a range-for, each decoded as it is reached.
    /// Throws schema_mismatch, connection_lost, decode_error.
    [[nodiscard]] records<R> rows() const { return records<R>(run<detail::projection::records>()); }

    /// As `rows`, for results of any size: see stream.hpp.
    [[nodiscard]] tenon::stream<R> stream() const {
        parameter_list<parameter_count> values;
        bind(values);
        return tenon::stream<R>(open_rows(
            *transaction_, detail::select_statement<R, Condition, detail::projection::records, Limited, Orderings...>,
            values));
    }

    [[nodiscard]] std::vector<R> all() const { return detail::decode_all<R>(run<detail::projection::records>()); }

    /// The first row, or nullopt if there is none.
    [[nodiscard]] std::optional<R> first() const {
        detail::require_own_bytes<R>();
        const result rows = Limited && limit_ == 0 ? run<detail::projection::records>() : at_most(1);
        if (rows.empty())
            return std::nullopt;
        return decode_record<R>(rows, 0, shape_of_record<R>);
    }

    /// The only row. Throws row_not_found, too_many_rows.
    [[nodiscard]] R one() const {
        detail::require_own_bytes<R>();
        const result rows = Limited && limit_ < 2 ? run<detail::projection::records>() : at_most(2);
        if (rows.size() != 1)
            detail::throw_not_one(shape_of_record<R>, rows.size());
        return decode_record<R>(rows, 0, shape_of_record<R>);
    }

    [[nodiscard]] std::int64_t count() const { return decode_value<std::int64_t>(run<detail::projection::count>(), 0); }

    [[nodiscard]] bool exists() const { return decode_value<bool>(run<detail::projection::existence>(), 0); }

    /// A range-for over the selection itself runs it once; see `rows`.
    class iterator {
    public:
        explicit iterator(records<R> rows)
            : rows_(std::make_unique<records<R>>(std::move(rows))), at_(rows_->begin()) {}
        [[nodiscard]] const R& operator*() const noexcept { return *at_; }
        [[nodiscard]] const R* operator->() const noexcept { return &*at_; }
        iterator& operator++() {
            ++at_;
            return *this;
        }
        friend bool operator==(const iterator& it, std::default_sentinel_t end) noexcept { return it.at_ == end; }

    private:
        std::unique_ptr<records<R>> rows_;
        typename records<R>::iterator at_;
    };
    [[nodiscard]] iterator begin() const { return iterator(rows()); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    template <auto M>
    static ordering<M, false> as_ordering(const column<M>&);
    template <auto M, bool Descending>
    static ordering<M, Descending> as_ordering(const ordering<M, Descending>&);

    static constexpr std::size_t parameter_count = Condition::parameters + (Limited ? 1 : 0);

    void bind(parameters& values) const {
        condition_.bind(values);
        if constexpr (Limited)
            values.add(limit_);
    }

    template <detail::projection What>
    [[nodiscard]] result run() const {
        parameter_list<parameter_count> values;
        bind(values);
        return transaction_->execute(detail::select_statement<R, Condition, What, Limited, Orderings...>, values);
    }

    [[nodiscard]] result at_most(std::int64_t rows) const {
        return selection<R, Condition, true, Orderings...>(*transaction_, condition_, rows)
            .template run<detail::projection::records>();
    }

    template <mapped_record, condition, bool, class...>
    friend class selection;

    transaction* transaction_;
    Condition condition_;
    std::int64_t limit_;
};

} // namespace tenon
