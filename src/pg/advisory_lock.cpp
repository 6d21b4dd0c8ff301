#include <tenon/pg/advisory_lock.hpp>

#include <algorithm>
#include <random>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>
#include <tenon/pg/query.hpp>

#include "waiting.hpp"

namespace tenon {

namespace {

using namespace std::chrono_literals;

constexpr query<bool, std::string> try_in_transaction{
    "select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))"};
constexpr query<bool, std::string> try_in_session{
    "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0))"};
constexpr query<bool, std::string> unlock{"select pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended($1, 0))"};

// For the server to release a lock when nobody can be told that it does not.
constexpr auto last_patience = 2s;

} // namespace

void lock_until_end(transaction& tx, std::string_view name) {
    tx.execute("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))", std::string(name));
}

bool try_lock_until_end(transaction& tx, std::string_view name) {
    return try_in_transaction.one(tx, std::string(name));
}

advisory_lock::advisory_lock(connection& on, std::string_view name, std::chrono::milliseconds timeout)
    : connection_(on), name_(name) {
    const auto deadline = detail::after(timeout);
    std::minstd_rand random{std::random_device{}()};
    while (!try_once(detail::time_for_an_answer(deadline))) {
        if (std::chrono::steady_clock::now() >= deadline)
            throw deadline_exceeded("advisory lock: somebody else has held it for all of " +
                                    std::to_string(timeout.count()) + " ms");
        // Full jitter, so that those who wait do not ask in step.
        const std::chrono::microseconds pause(std::uniform_int_distribution<std::int64_t>(1'000, 20'000)(random));
        detail::blocking().sleep(std::min(detail::after(pause), deadline));
    }
}

bool advisory_lock::try_once(std::chrono::milliseconds patience) {
    try {
        return connection_.transact({.deadline = patience},
                                    [this](transaction& tx) { return try_in_session.one(tx, name_); });
    } catch (const error& failure) {
        // The statement was cut short, and nobody knows whether it had the lock: the session's end releases it.
        if (failure.sqlstate() == sqlstate::query_canceled)
            connection_.close();
        throw;
    }
}

advisory_lock::~advisory_lock() {
    if (!connection_.is_open()) // the server has released it
        return;
    try {
        connection_.transact({.deadline = last_patience}, [this](transaction& tx) { (void)unlock.one(tx, name_); });
    } catch (...) { // closing the session releases it for certain
        connection_.close();
    }
}

} // namespace tenon
