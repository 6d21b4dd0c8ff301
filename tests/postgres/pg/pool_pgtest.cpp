#include <tenon/pg/pool.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pqxx_interop.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Waits until `condition` holds; false after ten seconds.
bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline)
            return false;
        std::this_thread::yield();
    }
    return true;
}

void end_backend(const std::string& url, int pid) {
    connection other{url};
    other.transact([pid](transaction& tx) { tx.execute("select pg_terminate_backend($1)", pid); });
    other.transact([pid](transaction& tx) {
        while (tx.execute("select 1 from pg_stat_activity where pid = $1", pid) != 0)
            tx.execute("select pg_stat_clear_snapshot()");
    });
}

} // namespace

TEST_CASE("a returned connection is lent again, the last one first") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 2}};
    int last = 0;
    {
        const connection one = db.acquire();
        const connection two = db.acquire();
        CHECK(db.status().active == 2);
        last = one.backend_pid(); // destroyed after `two`
    }
    CHECK(db.status().idle == 2);
    CHECK(db.acquire().backend_pid() == last);
}

TEST_CASE("the pool is bounded, and a wait that ends in vain says what it looked like") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1, .acquire_timeout = 20ms}};
    const connection held = db.acquire(30s); // opening a session may take longer than 20 ms
    try {
        (void)db.acquire();
        FAIL("lent twice");
    } catch (const pool_timeout& late) {
        CHECK_THAT(late.what(), ContainsSubstring("20 ms") && ContainsSubstring("1 lent, 0 idle") &&
                                    ContainsSubstring("max_size 1"));
    }
    CHECK(db.status().waiting == 0);
}

TEST_CASE("a timed-out wait names the last connect error, and the password is not in it") {
    pool db{"postgresql://me:hunter2@127.0.0.1:1/nowhere", {.acquire_timeout = 100ms}};
    std::string message;
    REQUIRE(eventually([&] { // until the first dial has failed
        try {
            (void)db.acquire();
        } catch (const pool_timeout& late) {
            message = late.what();
        }
        return message.find("could not be opened") != std::string::npos;
    }));
    CHECK_THAT(message, ContainsSubstring("the last session could not be opened") &&
                            ContainsSubstring("Connection refused") && !ContainsSubstring("hunter2"));
}

TEST_CASE("a pool of an unreadable connection string is refused at once") {
    CHECK_THROWS_AS(pool("postgresql://me:hunter2@host:port/db"), connection_failed);
}

TEST_CASE("waiters are served in the order they came") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1, .acquire_timeout = 30s}};
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::jthread> waiters;
    auto held = std::make_unique<connection>(db.acquire());
    for (int i = 0; i < 8; ++i) {
        waiters.emplace_back([&, i] {
            const connection mine = db.acquire();
            const std::lock_guard lock(mutex);
            order.push_back(i);
        });
        REQUIRE(eventually([&] { return db.status().waiting == static_cast<std::size_t>(i + 1); }));
    }
    held.reset();
    waiters.clear();
    CHECK(order == std::vector{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("an open transaction is rolled back before the next borrower") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1}};
    db.transact([](transaction& tx) { tx.execute("create table t (n int)"); });
    {
        transaction tx(db);
        tx.execute("insert into t values (1)");
    }
    {
        connection one = db.acquire();
        transaction tx(one);
        pqxx::connection& raw = as_pqxx(tx).conn();
        tx.commit();
        pqxx::nontransaction(raw).exec("begin; insert into t values (2)"); // left open by somebody else's code
    }
    CHECK(db.transact([](transaction& tx) { return tx.execute("select * from t"); }) == 0);
    CHECK(db.status().active == 0);
}

TEST_CASE("a session that died idle is replaced before anybody notices") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 2}};
    int pid = 0;
    {
        const connection one = db.acquire();
        pid = one.backend_pid();
    }
    end_backend(database.url(), pid);
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
    CHECK(db.status().active == 0);
}

TEST_CASE("a session that broke while lent is dropped, and its place is free again") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1}};
    {
        connection one = db.acquire();
        transaction tx(one);
        tx.execute("select 1");
        end_backend(database.url(), one.backend_pid());
        CHECK_THROWS_AS(tx.execute("select 1"), connection_lost);
    }
    CHECK(db.status().idle == 0);
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("after a restart of the server the pool serves again by itself") {
    testing::cluster server;
    pool db{server.url(), {.max_size = 2}};
    db.transact([](transaction& tx) { tx.execute("select 1"); });
    server.restart(testing::stop_mode::immediate);
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("a server that comes late is found by those who wait") {
    testing::cluster server;
    server.stop();
    pool db{server.url(), {.max_size = 2, .acquire_timeout = 30s}};
    std::atomic<int> served{0};
    std::vector<std::jthread> waiters;
    for (int i = 0; i < 4; ++i)
        waiters.emplace_back([&] {
            db.transact([](transaction& tx) { tx.execute("select 1"); });
            ++served;
        });
    REQUIRE(eventually([&] { return db.status().waiting == 4; }));
    server.start();
    waiters.clear();
    CHECK(served == 4);
}

TEST_CASE("sessions past their lifetime are replaced when they come back") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1, .max_lifetime = 1ms}};
    std::set<int> pids;
    for (int i = 0; i < 3; ++i) {
        connection one = db.acquire();
        pids.insert(one.backend_pid());
        one.transact([](transaction& tx) { tx.execute("select pg_sleep(0.002)"); });
    }
    CHECK(pids.size() == 3);
}

TEST_CASE("a connection may outlive its pool") {
    const testing::test_database database;
    auto db = std::make_unique<pool>(database.url());
    connection kept = db->acquire();
    db.reset();
    CHECK_NOTHROW(kept.transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("many threads share few connections, each used by one at a time") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 4, .acquire_timeout = 60s}};
    std::mutex mutex;
    std::set<int> in_use;
    std::atomic<int> shared{0};
    std::atomic<int> done{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 16; ++i)
            threads.emplace_back([&] {
                for (int round = 0; round < 200; ++round) {
                    const connection mine = db.acquire();
                    {
                        const std::lock_guard lock(mutex);
                        shared += in_use.insert(mine.backend_pid()).second ? 0 : 1;
                    }
                    {
                        const std::lock_guard lock(mutex);
                        in_use.erase(mine.backend_pid());
                    }
                    ++done;
                }
            });
    }
    CHECK(done == 3200);
    CHECK(shared == 0);
    const pool_status after = db.status();
    CHECK(after.active == 0);
    CHECK(after.idle <= 4);
    CHECK(after.waiting == 0);
}
