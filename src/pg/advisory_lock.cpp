#include <tenon/pg/advisory_lock.hpp>

#include <algorithm>
#include <random>
#include <thread>

#include <tenon/core/error.hpp>
#include <tenon/pg/query.hpp>

namespace tenon {

namespace {

using namespace std::chrono_literals;

constexpr query<bool, std::string> try_in_transaction{
    "select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))"};
constexpr query<bool, std::string> try_in_session{
    "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0))"};
constexpr query<bool, std::string> unlock{"select pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended($1, 0))"};

} // namespace

void lock_until_end(transaction& tx, std::string_view name) {
    tx.execute("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))", std::string(name));
}

bool try_lock_until_end(transaction& tx, std::string_view name) {
    return try_in_transaction.one(tx, std::string(name));
}

advisory_lock::advisory_lock(connection& on, std::string_view name, std::chrono::milliseconds timeout)
    : connection_(on), name_(name) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    std::minstd_rand random{std::random_device{}()};
    while (!connection_.transact([this](transaction& tx) { return try_in_session.one(tx, name_); })) {
        const auto left = deadline - std::chrono::steady_clock::now();
        if (left <= 0ms)
            throw deadline_exceeded("advisory lock: somebody else has held it for all of " +
                                    std::to_string(timeout.count()) + " ms");
        // Full jitter, so that those who wait do not ask in step.
        const std::chrono::microseconds pause(std::uniform_int_distribution<std::int64_t>(1'000, 20'000)(random));
        std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(pause, left));
    }
}

advisory_lock::~advisory_lock() {
    if (!connection_.is_open()) // the server has released it
        return;
    try {
        connection_.transact([this](transaction& tx) { (void)unlock.one(tx, name_); });
    } catch (const std::exception&) { // closing the session releases it for certain
        connection_.close();
    }
}

} // namespace tenon
