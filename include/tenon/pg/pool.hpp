// A bounded pool of connections.
//
// Safe to share between threads. Waiters are served strictly in the order they came; an idle connection
// that was used last is lent first. A connection comes back clean: an open transaction is rolled back, a
// broken session is dropped and replaced. The pool opens at most two sessions at a time and pauses between
// failed tries, however many threads wait.
//
// fork(): a pool is its process's. A child opens one of its own; of its parent's it gets usage_error. It may destroy
// its copies of pools and connections (as it does when it ends by exit): that waits for nothing and leaves the parent's
// sessions as they are.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <tenon/pg/connection.hpp>
#include <tenon/pg/transaction.hpp>

namespace tenon {

/// Lengths of time are in milliseconds.
struct pool_options {
    /// Most sessions at once; 1 to 10,000. About twice the server's cores for all processes together
    /// serves most loads; more sessions queue inside the server instead of here. `pool::resize` changes it later.
    std::size_t max_size = 8;

    /// Sessions that are opened from the start and kept open; 0 to `max_size`. Raise it where the first requests after
    /// a start must not pay for connecting; `pool::warm_up` waits for them.
    std::size_t min_size = 0;

    /// Longest wait for a connection, more than 0. Keep it below the deadline of the caller's own callers. A session
    /// that does not answer any more (see `ping_after`) can cost two seconds beyond it.
    std::chrono::milliseconds acquire_timeout{5'000};

    /// Sessions older than this are replaced when they come back or while they are idle, each at its own moment within
    /// 10 % below it; 0 keeps them. Lower it where servers change behind a name or backends grow.
    std::chrono::milliseconds max_lifetime{std::chrono::minutes{30}};

    /// A session that was idle for longer is asked for a sign of life before it is lent (a round trip); 0 never. The
    /// socket is looked at in any case; lower it where firewalls forget connections silently.
    std::chrono::milliseconds ping_after{std::chrono::seconds{30}};

    /// A connection that is lent for longer is reported to the observer, once, with the place that acquired it; 0
    /// never. Set it a little above the longest honest transaction. A timed-out wait names the oldest one in any case.
    std::chrono::milliseconds leak_after{0};

    /// What is undone when a connection comes back after raw SQL or libpqxx code used it: SET, SET ROLE, SET SESSION
    /// AUTHORIZATION, LISTEN, session-level advisory locks, temporary tables, cursors WITH HOLD, sequences' last values
    /// and statements PREPAREd by SQL, by one round trip, or two where there are such statements. Repositories leave
    /// nothing, so they cost none. Switch it off where no raw SQL ever does; `always` where functions or triggers do.
    enum class reset { never, after_raw_sql, always } reset_on_return = reset::after_raw_sql;

    /// Called with each new session before it is lent, on a thread of the pool's. When it throws, whatever it is, the
    /// session counts as one that could not be opened. It has no time limit but those of its transactions. What it SETs
    /// is lost when `reset_on_return` resets: give settings in the connection string (`options=-csearch_path=app`), and
    /// use it for what lasts, such as loading a library.
    std::function<void(connection&)> after_connect{};

    /// The pool's name in events and metrics.
    std::string name{};

    /// How each session is opened; its observer is told of the pool's events, too.
    connection_options connection{};

    /// Throws usage_error naming the member and the rule it breaks.
    void validate() const;
};

/// A place in the server's write-ahead log: what was written up to it is visible to who has replayed it.
struct wal_position {
    std::int64_t bytes = 0; ///< from the log's begin (pg_lsn)
    friend auto operator<=>(const wal_position&, const wal_position&) = default;
};

/// How `pool::read_only` chooses.
struct read_options {
    /// A replica that is further behind the primary is not asked. Known from measurements up to half a second old.
    std::chrono::milliseconds max_lag{1'000};
    /// Only a replica that has replayed this far is asked, whatever its lag: read your writes, from
    /// `pool::position` behind the commit.
    wal_position after{};
    /// Longest wait for a replica that is free and has replayed so far, before the primary is asked; a replica that
    /// answers nothing is left after two seconds more.
    std::chrono::milliseconds patience{100};
    /// What the transaction sees of others.
    isolation level = isolation::read_committed;
};

/// What the pool holds at one moment.
struct pool_status {
    std::size_t active;     ///< lent
    std::size_t idle;       ///< open and free
    std::size_t connecting; ///< being opened
    std::size_t waiting;    ///< threads in the queue
    std::size_t max_size;
};

/// How the pool fares with its primary, from what it saw last.
struct pool_health {
    enum class condition {
        ready,
        degraded, ///< serves, but sessions cannot be opened, or borrowers have to wait
        down      ///< has no session and cannot open one, or was closed
    } state = condition::ready;
    std::string reason{};                        ///< a sentence; empty when ready
    std::string last_error{};                    ///< of the last session that could not be opened, ever
    std::chrono::system_clock::time_point since; ///< when the state began
};

/// A connection string with several hosts ("host=a,b", "postgresql://a,b/app") makes a pool that follows roles: it
/// lends sessions of the primary only, finds the new one after a promotion by itself, and reads from replicas by
/// `read_only`.
class pool {
public:
    /// Opens nothing yet, but for `min_size`: sessions are opened as they are asked for.
    /// Throws connection_failed when the connection string cannot be read, usage_error for options.
    explicit pool(std::string_view conninfo, const pool_options& options = {});
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    /// Closes idle sessions; lent ones are closed when they come back, which may be later. Threads that wait for a
    /// connection get pool_closed. Gives up dials that are under way; waits two seconds at most for an `after_connect`
    /// that is running.
    ~pool();

    /// Lends a connection. Throws pool_timeout, which tells what the pool looked like, who holds a connection longest
    /// and why the last session could not be opened; pool_closed.
    [[nodiscard]] connection acquire(caller where = caller::here());
    [[nodiscard]] connection acquire(std::chrono::milliseconds timeout, caller where = caller::here());

    /// Waits until `min_size` sessions are open. Throws pool_timeout.
    void warm_up(std::chrono::milliseconds timeout);

    /// Changes `max_size`. Surplus sessions are closed, lent ones when they come back. Throws usage_error.
    void resize(std::size_t max_size);

    /// Lends nothing any more, closes idle sessions and waits for lent ones. Returns how many had not come back by
    /// then; they are closed when they do. Waiters and later borrowers get pool_closed.
    std::size_t close(std::chrono::milliseconds patience);

    /// Runs `body(transaction&)` in a read-only transaction: on a replica where the connection string names several
    /// hosts and one of them is a replica that suits `how`, else on the primary. Retries as `transact`.
    template <class Body>
    decltype(auto) read_only(Body&& body, caller where = caller::here()) {
        return read_only(read_options{}, std::forward<Body>(body), where);
    }
    template <class Body>
    decltype(auto) read_only(const read_options& how, Body&& body, caller where = caller::here()) {
        connection one = acquire_read_only(how, where);
        return one.transact({.level = how.level, .read_only = true}, std::forward<Body>(body), where);
    }

    /// How far the primary's log is on disk now: asked behind a commit, it covers it (unless synchronous_commit is
    /// off). Throws as `transact`.
    [[nodiscard]] wal_position position();

    [[nodiscard]] pool_status status() const;

    /// Asks no server: cheap enough for every request of a readiness probe.
    [[nodiscard]] pool_health health() const;

    /// As `connection::transact`; each attempt takes a connection of its own.
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
    friend class election;
    friend observer* detail::observer_of(const pool& of) noexcept;
    friend std::string_view detail::pool_name_of(const pool& of) noexcept;
    /// As `acquire`, at most for as long.
    [[nodiscard]] connection acquire_within(std::chrono::milliseconds most, caller where);

    [[nodiscard]] const std::string& conninfo() const noexcept; // may hold a password
    [[nodiscard]] connection acquire_read_only(const read_options& how, caller where);
    [[nodiscard]] static connection lent(detail::pool_core& by, std::chrono::milliseconds timeout, caller where);
    [[nodiscard]] static std::chrono::milliseconds measure_lag(connection& replica, detail::pool_core& primary,
                                                               caller where);
    [[nodiscard]] static bool has_replayed(connection& replica, wal_position until, std::chrono::milliseconds wait);

    detail::pool_core* core_ = nullptr; // counted by hand: it outlives the pool while a connection is lent
    detail::pool_core* replicas_ = nullptr;
};

} // namespace tenon
