#include <tenon/pg/advisory_lock.hpp>

#include <thread>

#include <catch2/catch_test_macros.hpp>

#include <tenon/testing/gate.hpp>

#include "support/database_fixture.hpp"
#include "support/eventually.hpp"

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

TEST_CASE("a lock whose server has fallen silent holds its owner for a moment, and is released with the session") {
    database_fixture t;
    testing::gate gate{t.database.url()};
    connection far{gate.url()};
    {
        const advisory_lock held(far, "report", 30s);
        gate.black_hole();
    }
    CHECK_FALSE(far.is_open());
    gate.cut();
    CHECK_NOTHROW(advisory_lock(t.db, "report", 60s));
}

TEST_CASE("who asks a silent server for a lock is told in time, and does not have it") {
    database_fixture t;
    testing::gate gate{t.database.url()};
    connection far{gate.url()};
    gate.black_hole(testing::direction::to_client); // the server grants it, and nobody hears of it
    CHECK_THROWS_AS(advisory_lock(far, "report", 10ms), error);
    CHECK_FALSE(far.is_open());
    gate.cut();
    CHECK_NOTHROW(advisory_lock(t.db, "report", 60s));
}

TEST_CASE("a wait for a lock may be as long as there are milliseconds") {
    database_fixture t;
    connection other{t.database.url()};
    auto held = std::make_unique<advisory_lock>(t.db, "report", 1s);
    const int pid = other.backend_pid();
    std::jthread waiter([&] { CHECK_NOTHROW(advisory_lock(other, "report", std::chrono::milliseconds::max())); });
    connection watcher{t.database.url()};
    CHECK(eventually([&] { // it was refused once
        return watcher.transact([pid](transaction& tx) {
            return tx.execute("select from pg_stat_activity where pid = $1 and state = 'idle' and"
                              " (query ilike '%pg_try_advisory_lock%' or query ilike 'commit')",
                              pid);
        }) == 1;
    }));
    held.reset();
    waiter.join();
    CHECK_NOTHROW(advisory_lock(other, "report", std::chrono::milliseconds::min())); // one try
}
