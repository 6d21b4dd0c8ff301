// A transaction: everything in it is stored together, or nothing.
//
// Leaving the scope without `commit()` rolls back. `BEGIN` travels with the first statement, so an unused
// transaction costs nothing. Used by one thread at a time; at most one per connection is open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <tenon/codec/codecs.hpp>
#include <tenon/codec/parameters.hpp>
#include <tenon/pg/connection.hpp>
#include <tenon/pg/pipeline.hpp>
#include <tenon/pg/result.hpp>
#include <tenon/pg/statement.hpp>

namespace tenon {

class pool;

class transaction {
public:
    /// On a connection of one's own, which must outlive it. Throws usage_error if one is open there already.
    explicit transaction(connection& on, const transaction_options& how = {});

    /// On a connection of the pool, held until the end of the scope. Throws pool_timeout.
    explicit transaction(pool& from, const transaction_options& how = {});

    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    ~transaction();

    /// Makes it permanent. Throws failed_transaction when a statement had failed before, whether that was
    /// seen by tenon or by libpqxx on the same session; constraint_violation or serialization_failure when
    /// the server refuses at the end; connection_lost with `outcome_unknown()` when the answer got lost.
    void commit();

    /// Ends it without effect; nothing happens if it has ended already.
    void rollback() noexcept;

    /// True until commit or rollback.
    [[nodiscard]] bool is_open() const noexcept { return open_; }

    /// Runs SQL without parameters, several statements if they are separated by `;`. Returns the number of
    /// rows that the last of them touched.
    std::uint64_t execute(std::string_view sql);

    /// Runs one statement with parameters `$1`, `$2`, ...; returns the number of rows it touched.
    /// Throws schema_mismatch before executing it when a value's type does not suit its parameter.
    template <column_value... Values>
        requires(sizeof...(Values) > 0)
    std::uint64_t execute(std::string_view sql, const Values&... values) {
        parameter_list<sizeof...(Values)> list;
        (list.add(values), ...);
        return execute({.sql = sql, .operation = "statement", .parameters = shapes_of<Values...>, .hash = hash_of(sql)},
                       list)
            .affected();
    }

    /// Runs `body(pipeline&)`, whose statements travel together: one round trip for all, however many. Returns
    /// when all are answered. Throws the error of the first statement that failed, with its number.
    template <class Body>
    void pipeline(Body&& body) {
        class pipeline queue(*this);
        body(queue);
        queue.finish();
    }

    /// Runs a statement whose types are known: what repositories stand on.
    result execute(const statement& what, parameters& values);

    template <class T>
    using answer = T;

    /// As `execute`, decoded: the same call serves a pipeline, which answers later.
    template <class T>
    T run(const statement& what, parameters& values, T (*decode)(const result&)) {
        return decode(execute(what, values));
    }

private:
    friend class savepoint;
    friend class tenon::pipeline;
    friend struct session_access;

    void require_open() const;

    std::optional<connection> leased_;
    detail::session* session_;
    bool open_ = true;
};

namespace detail {

template <class Source, class Body>
decltype(auto) transact(Source& source, const transaction_options& how, Body&& body) {
    for (attempts attempt(how);;) {
        try {
            transaction tx(source, how);
            if constexpr (std::is_void_v<std::invoke_result_t<Body&, transaction&>>) {
                body(tx);
                if (tx.is_open()) // a pipeline may have committed already
                    tx.commit();
                return;
            } else {
                decltype(auto) answer = body(tx);
                if (tx.is_open())
                    tx.commit();
                return answer;
            }
        } catch (...) {
            attempt.next_or_rethrow();
        }
    }
}

} // namespace detail
} // namespace tenon
