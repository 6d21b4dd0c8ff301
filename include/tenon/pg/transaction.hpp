// A transaction: everything in it is stored together, or nothing.
//
// Leaving the scope without `commit()` rolls back. `BEGIN` travels with the first statement, so an unused
// transaction costs nothing. Used by one thread at a time; at most one per connection is open.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

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

    /// On a connection of the pool, held until it is committed or the scope ends. Throws pool_timeout.
    explicit transaction(pool& from, const transaction_options& how = {}, caller where = caller::here());

    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    ~transaction();

    /// Makes it permanent. Throws failed_transaction when a statement had failed before, whether that was
    /// seen by tenon or by libpqxx on the same session; constraint_violation or serialization_failure when
    /// the server refuses at the end; connection_lost with `outcome_unknown()` when the answer got lost, and error with
    /// `outcome_unknown()` when the server has committed without waiting for its synchronous standby, as it was told to
    /// by a cancellation. Throws usage_error, and the transaction stays open, while a stream, a COPY or a pipeline
    /// occupies it.
    void commit();

    /// Ends it without effect; nothing happens if it has ended already.
    void rollback() noexcept;

    /// True until commit or rollback.
    [[nodiscard]] bool is_open() const noexcept { return open_; }

    /// Which attempt of `transact` this is, from 1.
    [[nodiscard]] int attempt() const noexcept { return attempt_; }

    /// The server's number of this transaction, once its first statement was answered; 0 without
    /// transaction_options::keep_id.
    [[nodiscard]] std::uint64_t id() const noexcept;

    /// Runs `body(transaction&)` behind a savepoint and returns what it returned. What it did is undone when it throws,
    /// and the outer transaction goes on. It is not run again: retries are the outermost transaction's.
    template <class Body>
    decltype(auto) transact(Body&& body);

    /// Calls `action` once this transaction has been committed for sure, in order; never after a rollback or an unknown
    /// outcome. A connection of the pool has gone back by then: actions may use the pool. An exception of an action
    /// leaves `commit()`, and the actions behind it are not called.
    void on_commit(std::function<void()> action) { on_commit_.push_back(std::move(action)); }

    /// Sets a parameter of the session until the end of this transaction: `tx.set_local("statement_timeout", "2s")`.
    /// Throws what a failing statement throws.
    void set_local(std::string_view name, std::string_view value);

    /// Lets row-level security see `tenant` as current_setting('tenon.tenant') until the end of this transaction.
    /// Outside of it the setting is absent or empty: write policies as
    /// `tenant_id = nullif(current_setting('tenon.tenant', true), '')::uuid`, which then show no row.
    /// Throws tenant_not_isolated when the current role is a superuser, has BYPASSRLS, or owns a table with row-level
    /// security that does not FORCE it.
    void act_as_tenant(std::string_view tenant);

    /// Runs SQL without parameters, several statements if they are separated by `;`. Returns the number of
    /// rows that the last of them touched. SQL that ends the transaction (COMMIT, ROLLBACK, BEGIN) is noticed behind
    /// it: the connection is given up with usage_error, and what the text stored outside of the transaction stays.
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
    template <class Source, class Body>
    friend decltype(auto) detail::transact(Source& source, const transaction_options& how, Body&& body, caller where);

    void require_open() const;
    void committed(); // stored for sure: the actions that wait for it are due
    /// However its scope is left: open for as long as the session says so.
    struct follows_session {
        transaction& of;
        ~follows_session();
    };

    std::optional<connection> leased_;
    detail::session* session_; // nullptr once a lease has gone back
    std::uint64_t id_ = 0;     // of a committed one
    bool open_ = true;
    bool stored_ = false;
    int attempt_ = 1;
    std::vector<std::function<void()>> on_commit_;
};

/// What became of a transaction.
enum class commit_state {
    committed,
    rolled_back,
    in_progress, ///< the server has not noticed the loss of its client yet: ask again
    forgotten,   ///< too old for the server to know
};

/// Asks the server for the outcome of a transaction with transaction_options::keep_id, from `error::transaction_id` or
/// `transaction::id`; waits up to `patience` while it is in progress. To be asked of the primary.
/// Throws usage_error for id 0; what a failing statement throws.
[[nodiscard]] commit_state commit_status(transaction& tx, std::uint64_t id,
                                         std::chrono::milliseconds patience = std::chrono::seconds(5));

namespace detail {

inline transaction begin(connection& on, const transaction_options& how, caller) {
    return transaction(on, how);
}
inline transaction begin(pool& from, const transaction_options& how, caller where) {
    return transaction(from, how, where);
}
[[nodiscard]] observer* observer_of(const pool& of) noexcept;
[[nodiscard]] std::string_view pool_name_of(const pool& of) noexcept;

template <class Source, class Body>
decltype(auto) transact(Source& source, const transaction_options& how, Body&& body, caller where) {
    for (attempts attempt(how);; attempt.pause()) {
        std::exception_ptr failure;
        {
            transaction tx = begin(source, attempt.options(), where);
            tx.attempt_ = attempt.number();
            try {
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
                if (tx.stored_) // the failure is that of an action behind the commit: not to be run again
                    throw;
                failure = std::current_exception();
            }
            tx.rollback(); // with no exception in flight: it waits
        }
        attempt.failed(failure, observer_of(source), pool_name_of(source));
    }
}

} // namespace detail
} // namespace tenon

#include <tenon/pg/savepoint.hpp> // what transaction::transact stands on
