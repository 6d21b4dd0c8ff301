#include <tenon/pg/pool.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/testing/gate.hpp>

#include "support/database_fixture.hpp"
#include "support/end_backend.hpp"
#include "support/eventually.hpp"
#include "support/in_vain.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

void end_backend(const std::string& url, int pid) {
    connection other{url};
    tests::end_backend(other, pid);
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
    const connection held = db.acquire(60s); // opening a session may take longer than 20 ms
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
    CHECK_THAT(in_vain(db, "could not be opened"), ContainsSubstring("the last session could not be opened") &&
                                                       ContainsSubstring("Connection refused") &&
                                                       !ContainsSubstring("hunter2"));
}

TEST_CASE("a pool of an unreadable connection string is refused at once") {
    CHECK_THROWS_AS(pool("postgresql://me:hunter2@host:port/db"), connection_failed);
}

TEST_CASE("waiters are served in the order they came") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1, .acquire_timeout = 60s}};
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
    pool db{server.url(), {.max_size = 2, .acquire_timeout = 60s}};
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

TEST_CASE("min_size sessions are there after warm_up, and a dead one is replaced") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 4, .min_size = 2}};
    db.warm_up(60s);
    CHECK(db.status().idle == 2);
    end_backend(database.url(), [&] { return db.acquire().backend_pid(); }());
    db.transact([](transaction& tx) { tx.execute("select 1"); });
    CHECK(eventually([&] { return db.status().idle == 2; }));
}

TEST_CASE("warm_up gives up in time, with the reason") {
    testing::cluster server;
    const std::string url = server.url();
    server.stop();
    pool db{url, {.min_size = 1}};
    CHECK_THAT(in_vain("could not be opened", [&] { db.warm_up(200ms); }),
               ContainsSubstring("the last session could not be opened"));
}

TEST_CASE("after_connect sees every new session before it is lent, and may refuse it") {
    const testing::test_database database;
    std::atomic<int> seen{0};
    pool db{database.url(), {.max_size = 2, .after_connect = [&seen](connection& fresh) {
                                 fresh.transact([](transaction& tx) { tx.execute("create temp table mine (n int)"); });
                                 ++seen;
                             }}};
    db.transact([](transaction& tx) { tx.execute("insert into mine values (1)"); });
    CHECK(seen == 1);

    pool refusing{database.url(), {.acquire_timeout = 100ms, .after_connect = [](connection&) {
                                       throw std::runtime_error("not this one");
                                   }}};
    CHECK_THAT(in_vain(refusing, "not this one"), ContainsSubstring("not this one"));
}

TEST_CASE("a wait in vain names the place that holds a connection longest") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1, .acquire_timeout = 20ms}};
    const connection held = db.acquire(60s);
    CHECK_THROWS_WITH(db.acquire(), ContainsSubstring("the oldest was lent") && ContainsSubstring("pool_pgtest.cpp:"));
}

namespace {

struct leak_log : observer {
    std::mutex mutex{};
    std::vector<leak_event> seen{};
    void leaked(const leak_event& event) noexcept override {
        const std::lock_guard lock(mutex);
        seen.push_back(event);
    }
    std::size_t count() {
        const std::lock_guard lock(mutex);
        return seen.size();
    }
};

} // namespace

TEST_CASE("a connection that is held too long is reported once, with its place") {
    const testing::test_database database;
    const auto log = std::make_shared<leak_log>();
    pool db{database.url(), {.leak_after = 20ms, .name = "main", .connection = {.observer = log}}};
    {
        const connection held = db.acquire();
        REQUIRE(eventually([&] { return log->count() == 1; }));
        const connection other = db.acquire();
        REQUIRE(eventually([&] { return log->count() == 2; })); // each once
    }
    const connection quick = db.acquire();
    CHECK(std::string_view(log->seen[0].file).ends_with("pool_pgtest.cpp"));
    CHECK(log->seen[0].line > 0);
    CHECK(log->seen[0].held >= 20ms);
    CHECK(log->seen[0].pool == "main");
}

TEST_CASE("a pool that shrinks closes what is surplus, and one that grows serves those who wait") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 2}};
    auto one = std::make_unique<connection>(db.acquire());
    auto two = std::make_unique<connection>(db.acquire());
    std::atomic<bool> served{false};
    std::jthread waiter([&] {
        const connection three = db.acquire(60s);
        served = true;
    });
    REQUIRE(eventually([&] { return db.status().waiting == 1; }));
    db.resize(3);
    CHECK(eventually([&] { return served.load(); }));
    waiter.join();
    db.resize(1);
    one.reset();
    two.reset();
    CHECK(db.status().idle + db.status().active == 1);
    CHECK_THROWS_AS(db.resize(0), usage_error);
}

TEST_CASE("close waits for borrowers, refuses new ones, and says who did not come back") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 2}};
    auto late = std::make_unique<connection>(db.acquire());
    CHECK(db.close(20ms) == 1);
    CHECK_THROWS_AS(db.acquire(), pool_closed);
    CHECK(db.health().state == pool_health::condition::down);
    std::jthread returner([&] { late.reset(); });
    CHECK(db.close(60s) == 0);
    CHECK(db.status().idle == 0);
}

TEST_CASE("closing wakes those who wait") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1}};
    auto held = std::make_unique<connection>(db.acquire());
    std::atomic<bool> refused{false};
    std::jthread waiter([&] {
        try {
            (void)db.acquire(60s);
        } catch (const pool_closed&) {
            refused = true;
        }
    });
    REQUIRE(eventually([&] { return db.status().waiting == 1; }));
    (void)db.close(0ms);
    CHECK(eventually([&] { return refused.load(); }));
}

TEST_CASE("health tells ready, degraded and down, with reason, error and time, and asks no server") {
    using enum pool_health::condition;
    testing::cluster server;
    pool db{server.url(), {.max_size = 1, .acquire_timeout = 100ms}};
    CHECK(db.health().state == ready);
    {
        auto held = std::make_unique<connection>(db.acquire(60s));
        CHECK(db.health().state == ready);
        CHECK_THROWS_AS(db.acquire(), pool_timeout);
        CHECK(db.health().state == ready); // nobody waits any more
        const std::jthread waiter([&] { CHECK_NOTHROW(db.acquire(60s)); });
        CHECK(eventually([&] { return db.status().waiting == 1; }));
        CHECK(db.health().state == degraded);
        CHECK_THAT(db.health().reason, ContainsSubstring("all 1 connections are lent"));
        held.reset();
    }
    const auto before = std::chrono::system_clock::now();
    server.stop();
    CHECK_THAT(in_vain(db, "cannot connect"), ContainsSubstring("cannot connect"));
    const pool_health lost = db.health();
    CHECK(lost.state == down);
    CHECK_THAT(lost.last_error, ContainsSubstring("cannot connect"));
    CHECK(lost.since >= before);
    server.start();
    (void)db.acquire(60s);
    CHECK(db.health().state == ready);
    CHECK_FALSE(db.health().last_error.empty());
}

TEST_CASE("options are validated by member and rule") {
    const auto refused = [](pool_options options, const char* member) {
        CHECK_THROWS_WITH(pool("postgresql:///x", options), ContainsSubstring(member));
    };
    refused({.max_size = 0}, "pool_options::max_size");
    refused({.max_size = 1, .min_size = 2}, "pool_options::min_size");
    refused({.acquire_timeout = 0ms}, "pool_options::acquire_timeout");
    refused({.max_lifetime = -1ms}, "pool_options::max_lifetime");
    refused({.ping_after = -1ms}, "pool_options::ping_after");
    refused({.leak_after = -1ms}, "pool_options::leak_after");
}

TEST_CASE("a session that was idle for long is asked for a sign of life before it is lent") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1, .ping_after = 1ms}};
    const int first = db.acquire().backend_pid();
    std::this_thread::sleep_for(5ms); // the point is the idleness itself
    CHECK(db.acquire().backend_pid() == first);
}

TEST_CASE("a length of time may be as long as there are milliseconds") {
    constexpr auto for_ever = std::chrono::milliseconds::max();
    const testing::test_database database;
    const auto log = std::make_shared<leak_log>();
    pool db{database.url(),
            {.max_size = 1,
             .min_size = 1,
             .acquire_timeout = for_ever,
             .max_lifetime = for_ever,
             .ping_after = for_ever,
             .leak_after = for_ever,
             .connection = {.connect_timeout = for_ever, .observer = log}}};
    db.warm_up(for_ever);
    auto held = std::make_unique<connection>(db.acquire());
    const int pid = held->backend_pid();
    std::vector<int> served;
    std::jthread waiter([&] {
        served.push_back(db.acquire().backend_pid());
        served.push_back(db.acquire(for_ever).backend_pid());
    });
    REQUIRE(eventually([&] { return db.status().waiting == 1; }));
    held.reset();
    waiter.join();
    CHECK(served == std::vector{pid, pid});
    CHECK(db.acquire(std::chrono::milliseconds::min()).backend_pid() == pid); // one is free
    CHECK(log->count() == 0);

    held = std::make_unique<connection>(db.acquire());
    CHECK_THROWS_AS(db.acquire(std::chrono::milliseconds::min()), pool_timeout);
    std::jthread returner([&] {
        (void)eventually([&] { return db.health().reason == "the pool was closed"; });
        held.reset();
    });
    CHECK(db.close(for_ever) == 0);
}

TEST_CASE("those who wait when their pool ends are told that it was closed") {
    auto db = std::make_unique<pool>("host=127.0.0.1,127.0.0.1 port=1,1 user=me dbname=nowhere",
                                     pool_options{.max_size = 2, .acquire_timeout = 1h});
    std::atomic<int> told{0};
    const auto expect_end = [&told](auto wait) {
        try {
            wait();
        } catch (const pool_closed&) {
            ++told;
        }
    };
    std::vector<std::jthread> waiters;
    for (int i = 0; i < 4; ++i)
        waiters.emplace_back([&, one = db.get()] { expect_end([one] { (void)one->acquire(); }); });
    for (int i = 0; i < 4; ++i)
        waiters.emplace_back(
            [&, one = db.get()] { expect_end([one] { one->read_only([](transaction&) { return 0; }); }); });
    REQUIRE(eventually([&] { return db->status().waiting == 8; }));
    db.reset();
    waiters.clear();
    CHECK(told == 8);
}

TEST_CASE("who warms a pool up that is closed is told") {
    pool db{"host=127.0.0.1 port=1 user=me dbname=nowhere", {.max_size = 2, .min_size = 1}};
    bool told = false;
    std::jthread waiter([&] {
        try {
            db.warm_up(1h);
        } catch (const pool_closed&) {
            told = true;
        }
    });
    std::this_thread::sleep_for(20ms); // so that it waits: earlier is an easier test only
    (void)db.close(0ms);
    waiter.join();
    CHECK(told);
}

TEST_CASE("sessions past their lifetime are closed while they are idle, too") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 2, .max_lifetime = 100ms}};
    {
        const connection one = db.acquire();
        const connection two = db.acquire();
    }
    CHECK(eventually([&] { return db.status().idle == 0; }));
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));

    pool kept{database.url(), {.max_size = 2, .min_size = 1, .max_lifetime = 100ms}};
    std::set<int> pids;
    CHECK(eventually([&] { // replaced, and again
        kept.warm_up(60s);
        pids.insert(kept.acquire().backend_pid());
        return pids.size() == 3;
    }));
}

TEST_CASE("whatever after_connect throws, the session counts as one that could not be opened") {
    const testing::test_database database;
    pool db{database.url(), {.acquire_timeout = 100ms, .after_connect = [](connection&) { throw 42; }}};
    std::string message;
    CHECK(eventually([&] { // until the first dial has failed
        try {
            (void)db.acquire();
        } catch (const pool_timeout& late) {
            message = late.what();
        }
        return message.find("after_connect threw what is no std::exception") != std::string::npos;
    }));
    CHECK(db.health().state == pool_health::condition::down);
}

TEST_CASE("a pool ends although after_connect does not") {
    const testing::test_database database;
    std::atomic<bool> entered{false};
    std::atomic<bool> released{false};
    std::atomic<bool> left{false};
    auto db =
        std::make_unique<pool>(database.url(), pool_options{.min_size = 1, .after_connect = [&](connection&) {
                                                                entered = true;
                                                                (void)eventually([&] { return released.load(); }, 1h);
                                                                left = true;
                                                            }});
    REQUIRE(eventually([&] { return entered.load(); }));
    db.reset();
    CHECK_FALSE(left);
    released = true;
    CHECK(eventually([&] { return left.load(); }));
}

TEST_CASE("a borrower's time bounds the search among sessions that have fallen silent") {
    const testing::test_database database;
    testing::gate gate{database.url()};
    pool db{gate.url(), {.max_size = 8, .min_size = 8, .ping_after = 1ms}};
    db.warm_up(60s);
    gate.black_hole();
    std::this_thread::sleep_for(5ms); // the point is the idleness itself
    CHECK_THROWS_AS(db.acquire(10ms), pool_timeout);
    CHECK(db.status().idle == 7); // one was tried
}
