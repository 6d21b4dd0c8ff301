// One session with a server.
//
// Movable, not copyable, used by one thread at a time. A connection that came from a pool goes back there
// when it is destroyed; any other is closed.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include <tenon/core/observer.hpp>
#include <tenon/pg/caller.hpp>
#include <tenon/pg/transact.hpp>

namespace tenon {

class connection;

namespace detail {
[[nodiscard]] observer* observer_of(const connection& of) noexcept;
[[nodiscard]] std::string_view pool_name_of(const connection& of) noexcept;
class session;
class pool_core;
class pool_dialers;

} // namespace detail

/// How a session is opened. Settings that the connection string gives itself win over the ones here.
struct connection_options {
    /// Longest time to wait for a session, over all hosts of the connection string; name look-up is not
    /// counted. More than 0; raise it where servers are far away.
    std::chrono::milliseconds connect_timeout{10'000};

    /// Longest wait for the server's answer to one message of the session (a statement's first use takes a few);
    /// the connection is given up after it.
    /// 0 waits for ever (keepalives still find a dead server): right where statements may take hours.
    std::chrono::milliseconds response_timeout{0};

    /// Prepared statements kept per session; the least recently used is dropped beyond it. 0 prepares nothing on
    /// the server: for poolers that hand each transaction another session (PgBouncer in transaction mode).
    std::size_t statement_cache = 256;

    /// Told what the session does: see core/observer.hpp. Nothing is measured without one.
    std::shared_ptr<tenon::observer> observer{};

    /// Throws usage_error naming the member and the rule it breaks.
    void validate() const;
};

class connection {
public:
    /// Opens a session: "postgresql://host/database", or "host=... dbname=...", as libpq reads them
    /// (manual, section 34.1.1). TCP keepalives and `tcp_user_timeout` are on unless it sets them.
    /// What has neither a scheme nor an equals sign is a database's name, and is refused unless it looks like one.
    /// Throws connection_failed; its message holds no password, also where the string is none, and no value of the
    /// string's options but host, port, user, database, times and files.
    explicit connection(std::string_view conninfo, const connection_options& options = {});

    connection(connection&&) noexcept;
    connection& operator=(connection&&) noexcept;
    ~connection();

    /// Ends the session; what was not committed is lost.
    void close() noexcept;

    /// False once the session has broken; it does not mend, open another.
    [[nodiscard]] bool is_open() const noexcept;
    [[nodiscard]] int backend_pid() const noexcept;
    /// As PostgreSQL numbers it: 150004 is 15.4.
    [[nodiscard]] int server_version() const noexcept;
    /// As the server last said it: a promotion is heard of with the next statement.
    [[nodiscard]] host_role role() const noexcept;

    /// Runs `body(transaction&)` in a transaction, commits, and returns what it returned. Runs it AGAIN after
    /// a serialization failure or deadlock: it must not do anything that cannot be undone by a rollback.
    /// Throws what `body` throws, after a rollback; failed_transaction when a failed statement was ignored.
    template <class Body>
    decltype(auto) transact(Body&& body, caller where = caller::here()) {
        return detail::transact(*this, transaction_options{}, std::forward<Body>(body), where);
    }
    template <class Body>
    decltype(auto) transact(const transaction_options& how, Body&& body, caller where = caller::here()) {
        return detail::transact(*this, how, std::forward<Body>(body), where);
    }

private:
    friend class transaction;
    friend class pool;
    friend observer* detail::observer_of(const connection& of) noexcept;
    friend std::string_view detail::pool_name_of(const connection& of) noexcept;
    friend class detail::pool_core;
    friend class detail::pool_dialers;

    struct closer {
        detail::pool_core* home = nullptr; // where a pooled session goes back to
        void operator()(detail::session* session) const noexcept;
    };
    explicit connection(std::unique_ptr<detail::session, closer> session) noexcept;

    std::unique_ptr<detail::session, closer> session_;
};

} // namespace tenon
