#include <tenon/pg/advisory_lock.hpp>

#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

TEST_CASE("a lock of a transaction keeps others out until it ends") {
    database_fixture t;
    connection other{t.database.url()};
    {
        transaction tx(t.db);
        CHECK(try_lock_until_end(tx, "report"));
        transaction rival(other);
        CHECK_FALSE(try_lock_until_end(rival, "report"));
        CHECK(try_lock_until_end(rival, "another"));
    }
    transaction rival(other);
    lock_until_end(rival, "report");
}

TEST_CASE("a lock of a connection lasts over its transactions and ends with its object") {
    database_fixture t;
    connection other{t.database.url()};
    {
        const advisory_lock held(t.db, "report", 1s);
        t.run("select 1");
        CHECK_THROWS_AS(advisory_lock(other, "report", 30ms), deadline_exceeded);
    }
    CHECK_NOTHROW(advisory_lock(other, "report", 0ms));
}

TEST_CASE("who waits gets the lock when it becomes free, and holds back no vacuum meanwhile") {
    database_fixture t;
    connection other{t.database.url()};
    auto held = std::make_unique<advisory_lock>(t.db, "report", 1s);
    std::jthread waiter([&] { const advisory_lock mine(other, "report", 60s); });
    held.reset();
    waiter.join();
}
