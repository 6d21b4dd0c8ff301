#include <tenon/pg/pool.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#include <tenon/pg/query.hpp>

#include "dial.hpp"
#include "pool_core.hpp"
#include "session.hpp"
#include "waiting.hpp"

namespace tenon {

namespace detail {

std::string_view pool_name_of(const pool& of) noexcept {
    return of.core_->options().name;
}

observer* observer_of(const pool& of) noexcept {
    return of.core_->options().connection.observer.get();
}

} // namespace detail

void pool_options::validate() const {
    if (max_size < 1 || max_size > 10'000)
        throw usage_error("pool_options::max_size must be 1 to 10,000");
    if (min_size > max_size)
        throw usage_error("pool_options::min_size must not be more than max_size");
    if (acquire_timeout.count() <= 0)
        throw usage_error("pool_options::acquire_timeout must be more than 0");
    if (max_lifetime.count() < 0)
        throw usage_error("pool_options::max_lifetime must not be negative; 0 keeps sessions for ever");
    if (ping_after.count() < 0)
        throw usage_error("pool_options::ping_after must not be negative; 0 never pings");
    if (leak_after.count() < 0)
        throw usage_error("pool_options::leak_after must not be negative; 0 reports nothing");
    connection.validate();
}

pool::pool(std::string_view conninfo, const pool_options& options) {
    options.validate();
    std::string text(conninfo);
    (void)detail::validate_conninfo(text, options.connection.connect_timeout);
    const bool follows_roles = detail::has_several_hosts(text);
    if (follows_roles) {
        pool_options reading = options;
        reading.min_size = std::max<std::size_t>(options.min_size, 1); // so that it is known whether there is a replica
        reading.name += options.name.empty() ? "replicas" : " replicas";
        replicas_ = new detail::pool_core(text, reading, host_role::replica);
    }
    core_ = new detail::pool_core(std::move(text), options, follows_roles ? host_role::primary : host_role::unknown);
}

pool::~pool() {
    core_->abandon();
    if (replicas_ != nullptr)
        replicas_->abandon();
}

namespace {

using namespace std::chrono_literals;
using detail::pool_core;

constexpr auto lag_stays_known = 500ms;

constexpr query<std::int64_t> current_position{
    "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), '0/0')::bigint"};

// The longest time for a question to the server, which nobody has set a limit for.
transaction_options asked_until(detail::waiter::clock::time_point until) {
    return {.read_only = true, .deadline = detail::time_for_an_answer(until)};
}

} // namespace

connection pool::lent(detail::pool_core& by, std::chrono::milliseconds timeout, caller where) {
    return connection(
        std::unique_ptr<detail::session, connection::closer>(by.lend(timeout, where), connection::closer{&by}));
}

wal_position pool::position() {
    return transact({.read_only = true}, [](transaction& tx) { return wal_position{current_position.one(tx)}; });
}

std::chrono::milliseconds pool::measure_lag(connection& replica, detail::pool_core& primary, caller where) {
    detail::lease_record& lease = replica.session_->lease;
    const auto now = std::chrono::steady_clock::now();
    if (lease.lag_known_at != std::chrono::steady_clock::time_point{} && now - lease.lag_known_at < lag_stays_known)
        return lease.lag;
    std::int64_t written = 0;
    try {
        connection one = lent(primary, primary.options().acquire_timeout, where);
        written = one.transact(asked_until(now), [](transaction& tx) { return current_position.one(tx); });
    } catch (const error&) { // without a primary nothing is written, so nothing is late
        return std::chrono::milliseconds{0};
    }
    // Behind the primary's position the age of the last replayed commit tells; an idle primary is no lag.
    static constexpr query<std::int64_t, std::int64_t> behind{
        "select case when pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')"
        " operator(pg_catalog.>=) $1 then 0"
        " else coalesce((extract(epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-)"
        " pg_catalog.pg_last_xact_replay_timestamp()) operator(pg_catalog.*) 1000)::bigint, 9007199254740992) end"};
    lease.lag = replica.transact(asked_until(now), [&](transaction& tx) {
        return std::chrono::milliseconds{std::max<std::int64_t>(behind.one(tx, written), 0)};
    });
    lease.lag_known_at = now;
    return lease.lag;
}

bool pool::has_replayed(connection& replica, wal_position until, std::chrono::milliseconds wait) {
    static constexpr query<bool, std::int64_t> replayed{
        "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0') operator(pg_catalog.>=) $1"};
    const auto deadline = detail::after(wait);
    for (auto pause = 200us;; pause = std::min(2 * pause, 20'000us)) {
        if (replica.transact(asked_until(deadline), [&](transaction& tx) { return replayed.one(tx, until.bytes); }))
            return true;
        const auto next = detail::after(pause);
        if (next >= deadline)
            return false;
        detail::blocking().sleep(next);
    }
}

connection pool::acquire_read_only(const read_options& how, caller where) {
    // Neither is taken from the pool again: it may end while this thread waits.
    detail::pool_core& primary = *core_;
    if (replicas_ == nullptr)
        return lent(primary, primary.options().acquire_timeout, where);
    detail::pool_core& replicas = *replicas_;
    primary.require_own_process();
    const pool_core::visit here(primary);
    const pool_core::visit there(replicas);
    if (replicas.health().state != pool_health::condition::down)
        try {
            connection replica = lent(replicas, std::min(how.patience, primary.options().acquire_timeout), where);
            if (how.after.bytes != 0 ? has_replayed(replica, how.after, how.patience)
                                     : measure_lag(replica, primary, where) <= how.max_lag)
                return replica;
        } catch (const pool_timeout&) { // the primary serves, too
        } catch (const connection_lost&) {
        } catch (const deadline_exceeded&) {
        }
    return lent(primary, primary.options().acquire_timeout, where);
}

connection pool::acquire(caller where) {
    return lent(*core_, core_->options().acquire_timeout, where);
}

connection pool::acquire(std::chrono::milliseconds timeout, caller where) {
    return lent(*core_, timeout, where);
}

connection pool::acquire_within(std::chrono::milliseconds most, caller where) {
    return lent(*core_, std::min(most, core_->options().acquire_timeout), where);
}

void pool::warm_up(std::chrono::milliseconds timeout) {
    core_->warm_up(timeout);
}

void pool::resize(std::size_t max_size) {
    core_->resize(max_size);
    if (replicas_ != nullptr)
        replicas_->resize(max_size);
}

std::size_t pool::close(std::chrono::milliseconds patience) {
    const auto until = detail::after(patience);
    std::size_t left = core_->close(until);
    if (replicas_ != nullptr)
        left += replicas_->close(until);
    return left;
}

const std::string& pool::conninfo() const noexcept {
    return core_->conninfo();
}

pool_status pool::status() const {
    return core_->status();
}

pool_health pool::health() const {
    return core_->health();
}

} // namespace tenon
