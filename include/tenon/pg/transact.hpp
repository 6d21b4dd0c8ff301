// Transactions that are run again when PostgreSQL asks for it.
#pragma once

#include <chrono>
#include <type_traits>
#include <utility>

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
};

namespace detail {

/// Counts attempts; decides in a catch block whether there is another.
class attempts {
public:
    /// Throws usage_error when the options break their rules.
    explicit attempts(const transaction_options& how);

    /// Call while an exception is handled: pauses when another attempt is due, rethrows when not.
    void next_or_rethrow();

private:
    int left_;
    std::chrono::milliseconds backoff_;
};

template <class Source, class Body>
decltype(auto) transact(Source& source, const transaction_options& how, Body&& body);

} // namespace detail
} // namespace tenon
