// Transactions that are run again when PostgreSQL asks for it.
#pragma once

#include <chrono>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>

#include <tenon/core/observer.hpp>
#include <tenon/pg/caller.hpp>

namespace tenon {

class transaction;

/// Isolation levels; PostgreSQL treats READ UNCOMMITTED as READ COMMITTED (manual, section 13.2).
enum class isolation { read_committed, repeatable_read, serializable };

struct transaction_options {
    /// What the transaction sees of others; raise it when decisions rest on rows that others may change.
    isolation level = isolation::read_committed;
    /// The server refuses writes. When false, the session's default_transaction_read_only decides.
    bool read_only = false;
    /// Waits for a snapshot that cannot fail; only for `serializable` and `read_only` (manual, SET TRANSACTION).
    bool deferrable = false;

    /// For `transact`: how often the body may run in all; at least 1. Raise it under heavy contention.
    int attempts = 5;
    /// For `transact`: longest pause before the second attempt; doubles with each further one, up to a second. The
    /// pause is drawn evenly from zero to it ("full jitter"), so that rivals part. More than 0.
    std::chrono::milliseconds backoff{10};

    /// Longest time for the whole: all attempts of `transact` with the wait for a connection and the pauses between, or
    /// an explicit transaction from its begin. A statement that is under way then is cancelled (see pg/deadline.hpp);
    /// COMMIT is not cut short. 0 sets none; set it below the patience of whoever waits for the answer.
    std::chrono::milliseconds deadline{0};

    /// Asks the server for the transaction's id along with its first statement, which makes it an id even of one that
    /// only reads: `transaction::id` and `error::transaction_id` tell it, and `commit_status` what became of it. Set it
    /// where an unknown outcome must be found out.
    bool keep_id = false;
};

namespace detail {

/// Counts attempts; decides whether there is another.
class attempts {
public:
    /// Throws usage_error when the options break their rules.
    explicit attempts(const transaction_options& how);

    /// Throws the failure on unless another attempt is due, behind `pause`.
    void failed(const std::exception_ptr& failure, observer* told, std::string_view pool);
    void pause() const noexcept;

    [[nodiscard]] int number() const noexcept { return number_; }
    /// The options for this attempt: with what is left of the deadline. Throws deadline_exceeded when nothing is.
    [[nodiscard]] transaction_options options() const;

private:
    const transaction_options& how_;
    int number_ = 1;
    std::chrono::milliseconds backoff_;
    std::chrono::steady_clock::time_point until_;
    std::chrono::microseconds pause_{0};
};

template <class Source, class Body>
decltype(auto) transact(Source& source, const transaction_options& how, Body&& body, caller where);

} // namespace detail
} // namespace tenon
