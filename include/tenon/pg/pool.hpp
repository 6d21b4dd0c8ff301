// A bounded pool of connections.
//
// Safe to share between threads. Waiters are served strictly in the order they came; an idle connection
// that was used last is lent first. A connection comes back clean: an open transaction is rolled back, a
// broken session is dropped and replaced. The pool opens at most two sessions at a time and pauses between
// failed tries, however many threads wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <tenon/pg/connection.hpp>
#include <tenon/pg/transaction.hpp>

namespace tenon {

struct pool_options {
    /// Most sessions at once; 1 to 10,000. About twice the server's cores for all processes together
    /// serves most loads; more sessions queue inside the server instead of here.
    std::size_t max_size = 8;

    /// Longest wait for a connection, more than 0. Keep it below the deadline of the caller's own callers.
    std::chrono::milliseconds acquire_timeout{5'000};

    /// Sessions older than this are replaced when they come back, each at its own moment within 10 % below
    /// it; 0 keeps them. Lower it where servers change behind a name or backends grow.
    std::chrono::milliseconds max_lifetime{std::chrono::minutes{30}};

    /// How each session is opened.
    connection_options connection{};

    /// Throws usage_error naming the member and the rule it breaks.
    void validate() const;
};

/// What the pool holds at one moment.
struct pool_status {
    std::size_t active;     ///< lent
    std::size_t idle;       ///< open and free
    std::size_t connecting; ///< being opened
    std::size_t waiting;    ///< threads in the queue
};

class pool {
public:
    /// Opens nothing yet: sessions are opened as they are asked for.
    /// Throws connection_failed when the connection string cannot be read, usage_error for options.
    explicit pool(std::string_view conninfo, const pool_options& options = {});
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    /// Closes idle sessions; lent ones are closed when they come back, which may be later.
    ~pool();

    /// Lends a connection. Throws pool_timeout, which tells what the pool looked like and why the last
    /// session could not be opened.
    [[nodiscard]] connection acquire();
    [[nodiscard]] connection acquire(std::chrono::milliseconds timeout);

    [[nodiscard]] pool_status status() const;

    /// As `connection::transact`; each attempt takes a connection of its own.
    template <class Body>
    decltype(auto) transact(Body&& body) {
        return detail::transact(*this, transaction_options{}, std::forward<Body>(body));
    }
    template <class Body>
    decltype(auto) transact(const transaction_options& how, Body&& body) {
        return detail::transact(*this, how, std::forward<Body>(body));
    }

private:
    detail::pool_core* core_; // counted by hand: it outlives the pool while a connection is lent
};

} // namespace tenon
