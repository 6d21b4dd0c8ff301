// tenon as its guide teaches it: repositories in a transaction.
//
// What a version of tenon does not have is left out of the comparison by `can_...`.
#pragma once

#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include <tenon/tenon.hpp>

#include "dataset.hpp"

namespace bench {

namespace detail {

template <class Transaction>
concept has_pipeline = requires(Transaction& tx) { tx.pipeline([](auto&) {}); };
template <class Repository>
concept has_copy_in = requires(Repository& table, std::span<const written> rows) { table.copy_in(rows); };
template <class Repository>
concept has_find_many = requires(Repository& table, const std::vector<std::int64_t>& ids) { table.find_many(ids); };
template <class Repository>
concept has_stream = requires(Repository& table) { table.every().stream(); };

[[nodiscard]] inline auto up_to(tenon::transaction& tx, std::int64_t last) {
    return tenon::repository<item>(tx).where(tenon::col<&item::id> <= last).order_by(tenon::col<&item::id>);
}

} // namespace detail

class with_tenon {
public:
    static constexpr const char* label = "tenon";
    static constexpr bool can_pipeline = detail::has_pipeline<tenon::transaction>;
    static constexpr bool can_copy_in = detail::has_copy_in<tenon::repository<written>>;
    static constexpr bool can_find_many = detail::has_find_many<tenon::repository<item>>;
    static constexpr bool can_stream = detail::has_stream<tenon::repository<item>>;

    explicit with_tenon(const std::string& url) : connection_(url) {}

    [[nodiscard]] int backend_pid() const { return connection_.backend_pid(); }

    void begin() {
        transaction_.emplace(connection_);
        transaction_->execute("set local timezone to 'UTC'"); // sends BEGIN, as the others have by now
    }
    void commit() {
        transaction_->commit();
        transaction_.reset();
    }

    item find(std::int64_t id) { return tenon::repository<item>(*transaction_).get(id); }

    std::vector<item> list(std::int64_t last) { return detail::up_to(*transaction_, last).all(); }

    template <class Use>
    void each(std::int64_t last, Use use) {
        stream(detail::up_to(*transaction_, last), use);
    }

    written insert(const written& row) { return tenon::repository<written>(*transaction_).insert(row); }

    std::vector<std::int64_t> insert_many(std::span<const written> rows) {
        return tenon::repository<written>(*transaction_).insert_many(rows);
    }

    std::vector<written> insert_pipelined(std::span<const written> rows) {
        return pipelined<written>(*transaction_, rows, [](auto& pipe, const written& row) { return pipe.insert(row); });
    }

    std::vector<item> find_pipelined(std::span<const std::int64_t> ids) {
        return pipelined<item>(*transaction_, ids,
                               [](auto& pipe, std::int64_t id) { return pipe.template get<item>(id); });
    }

    std::vector<item> find_many(const std::vector<std::int64_t>& ids) {
        tenon::repository<item> items(*transaction_);
        return found(items, ids);
    }

    void copy_in(std::span<const written> rows) {
        tenon::repository<written> table(*transaction_);
        copied(table, rows);
    }

private:
    template <class Row, class Transaction, class Values, class Queue>
    static std::vector<Row> pipelined([[maybe_unused]] Transaction& tx, [[maybe_unused]] const Values& values,
                                      [[maybe_unused]] Queue queue) {
        std::vector<Row> list;
        if constexpr (detail::has_pipeline<Transaction>) {
            list.reserve(values.size());
            using pipe_type = tenon::pipeline;
            std::vector<decltype(queue(std::declval<pipe_type&>(), *values.begin()))> answers;
            answers.reserve(values.size());
            tx.pipeline([&](auto& pipe) {
                for (const auto& value : values)
                    answers.push_back(queue(pipe, value));
            });
            for (auto& answer : answers)
                list.push_back(std::move(answer).get());
        }
        return list;
    }

    template <class Repository>
    static std::vector<item> found([[maybe_unused]] Repository& items,
                                   [[maybe_unused]] const std::vector<std::int64_t>& ids) {
        if constexpr (detail::has_find_many<Repository>)
            return items.find_many(ids);
        else
            return {};
    }

    template <class Repository>
    static void copied([[maybe_unused]] Repository& table, [[maybe_unused]] std::span<const written> rows) {
        if constexpr (detail::has_copy_in<Repository>)
            table.copy_in(rows);
    }

    template <class Selection, class Use>
    static void stream(const Selection& selected, Use use) {
        if constexpr (requires { selected.stream(); })
            for (const item& row : selected.stream())
                use(row);
    }

    tenon::connection connection_;
    std::optional<tenon::transaction> transaction_;
};

} // namespace bench
