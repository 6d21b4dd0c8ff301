// Networks that fail, servers that go away and come back, primaries that move.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pool.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/repository/repository.hpp>
#include <tenon/testing/cluster.hpp>
#include <tenon/testing/gate.hpp>

#include "postgres/testing/ask.hpp"
#include "support/database_fixture.hpp"
#include "support/end_backend.hpp"
#include "support/eventually.hpp"
#include "support/in_vain.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using clock_type = std::chrono::steady_clock;

namespace faults_pgtest {

struct Note {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("note", tenon::key<&Note::id>);
};

struct gated : database_fixture {
    testing::gate gate{database.url()};

    gated() { run("create table note (id bigint primary key, text text not null)"); }
    bool stored(std::int64_t id) {
        transaction tx{db};
        return repository<Note>{tx}.find(id).has_value();
    }
};

/// What has reached the gate when this is called has passed it when it returns: its thread looks at every socket in
/// between two questions, and writes before the next one.
void let_pass(const testing::gate& gate) {
    for (int i = 0; i < 4; ++i)
        (void)gate.open_connections();
}

/// Both servers by one connection string.
std::string hosts(const testing::cluster& first, const testing::cluster& second) {
    return "host=" + first.socket_directory().string() + "," + second.socket_directory().string() +
           " port=" + std::to_string(first.port()) + "," + std::to_string(second.port()) +
           " user=postgres dbname=postgres";
}

} // namespace faults_pgtest

using namespace faults_pgtest;

TEST_CASE("a COMMIT whose answer is lost is of unknown outcome, not run again, and found out later: committed") {
    gated t;
    pool db{t.gate.url(), {.max_size = 1}};
    db.transact([](transaction& tx) { repository<Note>{tx}.insert({1, "before"}); });
    t.gate.swallow_answer_to("commit");
    int runs = 0;
    std::uint64_t id = 0;
    try {
        db.transact({.keep_id = true}, [&](transaction& tx) {
            ++runs;
            repository<Note>{tx}.insert({2, "in doubt"});
        });
        FAIL("the answer came through");
    } catch (const connection_lost& lost) {
        CHECK(lost.outcome_unknown());
        CHECK_FALSE(lost.retryable());
        id = lost.transaction_id();
    }
    CHECK(runs == 1);
    transaction tx{t.db};
    CHECK(commit_status(tx, id) == commit_state::committed);
    tx.commit();
    CHECK(t.stored(2));
    CHECK_NOTHROW(db.transact([](transaction& again) { again.execute("select 1"); }));
}

TEST_CASE("a COMMIT that never arrived is of unknown outcome, too, and found out later: rolled back") {
    gated t;
    pool db{t.gate.url(), {.max_size = 1}};
    t.gate.cut_before("commit");
    std::uint64_t id = 0;
    try {
        db.transact({.keep_id = true}, [](transaction& tx) { repository<Note>{tx}.insert({2, "in doubt"}); });
        FAIL("the commit came through");
    } catch (const connection_lost& lost) {
        CHECK(lost.outcome_unknown());
        id = lost.transaction_id();
    }
    transaction tx{t.db};
    CHECK(commit_status(tx, id) == commit_state::rolled_back);
    tx.commit();
    CHECK_FALSE(t.stored(2));
}

TEST_CASE("a connection that the network swallows is given up by its deadline, and the pool heals") {
    gated t;
    pool db{t.gate.url(), {.max_size = 2}};
    db.transact([](transaction& tx) { tx.execute("select 1"); });
    t.gate.black_hole(); // until it is given up
    CHECK_THROWS_AS(db.transact({.deadline = 200ms}, [](transaction& tx) { tx.execute("select 1"); }), error);
    t.gate.cut();
    t.gate.open();
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("a rollback that the network swallows holds the borrower for a bounded time only") {
    gated t;
    pool db{t.gate.url(), {.max_size = 1}};
    {
        transaction tx{db};
        tx.execute("select 1");
        t.gate.black_hole(); // until the borrower is let go
    }
    CHECK(db.status().idle == 0);
    t.gate.open();
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("a session whose server said farewell is not lent, even while its stream is still open") {
    gated t;
    pool db{t.gate.url(), {.max_size = 1}};
    const int pid = db.acquire().backend_pid();
    t.gate.hold_back_end();
    end_backend(t.db, pid);
    let_pass(t.gate);
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
    CHECK(db.acquire().backend_pid() != pid);
}

TEST_CASE("known statements of a transaction take two round trips, and one as a pipeline") {
    gated t;
    connection db{t.gate.url()};
    const auto insert = [](std::int64_t id) {
        return [id](transaction& tx) { repository<Note>{tx}.insert({id, "x"}); };
    };
    db.transact(insert(1));
    t.gate.reset_counters();
    db.transact(insert(2));
    CHECK(t.gate.round_trips() == 2);
    t.gate.reset_counters();
    db.transact([](transaction& tx) {
        tx.pipeline([](pipeline& p) {
            (void)p.insert(Note{3, "x"});
            p.commit();
        });
    });
    CHECK(t.gate.round_trips() == 1);
}

TEST_CASE("a thousand threads that wait for an absent server dial twice at a time, and learn the cause in time") {
    gated t;
    pool db{t.gate.url(), {.max_size = 64, .acquire_timeout = 2s}};
    t.gate.refuse();
    const auto began = clock_type::now();
    REQUIRE(eventually([&] { // or a wait may end before the first dial has failed
        CHECK_THROWS_AS(db.acquire(1ms), pool_timeout);
        return db.health().state == pool_health::condition::down;
    }));
    std::atomic<int> told{0};
    {
        std::vector<std::jthread> waiters;
        for (int i = 0; i < 1000; ++i)
            waiters.emplace_back([&] {
                try {
                    (void)db.acquire();
                } catch (const pool_timeout& late) {
                    if (std::string_view(late.what()).find("could not be opened: cannot connect") !=
                        std::string_view::npos)
                        ++told;
                }
            });
    }
    CHECK(told == 1000); // while there was still no server
    CHECK(t.gate.most_dials_at_once() <= 2);
    const auto dials = static_cast<double>(t.gate.connections());
    CHECK(dials < 30 * std::chrono::duration<double>(clock_type::now() - began).count()); // with pauses between
    t.gate.refuse(false);
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("after a crash under load everybody is served again, without an error") {
    testing::cluster server;
    testing::gate gate{server.url()};
    pool db{gate.url(), {.max_size = 8, .acquire_timeout = 60s}};
    const auto all_serve = [&db] { // lent all at once: the ones that were idle through it all are among them
        std::vector<connection> every;
        for (std::size_t i = 0; i < 8; ++i)
            every.push_back(db.acquire());
        for (connection& each : every)
            each.transact([](transaction& tx) { tx.execute("select 1"); });
    };
    all_serve();
    gate.reset_counters();
    std::atomic<bool> stop{false};
    std::atomic<clock_type::rep> accepting{INT64_MAX}; // when the server was back
    std::atomic<int> late_errors{0};
    std::atomic<int> served{0};
    std::vector<std::jthread> workers;
    std::atomic<int> strange{0};
    for (int i = 0; i < 4; ++i) // half of the connections stay idle
        workers.emplace_back([&] {
            while (!stop) {
                const auto began = clock_type::now().time_since_epoch().count();
                bool started = false;
                try {
                    connection one = db.acquire();
                    started = true;
                    one.transact([](transaction& tx) { tx.execute("select 1"); });
                    ++served;
                } catch (const error& failure) {
                    if (began > accepting.load())
                        ++late_errors;
                    if (!started && dynamic_cast<const pool_timeout*>(&failure) == nullptr)
                        ++strange; // a borrower that had not begun heard of a dead connection
                }
            }
        });
    REQUIRE(eventually([&] { return served > 100; }));
    server.restart(testing::stop_mode::immediate);
    let_pass(gate); // the ends of the old sessions
    accepting = clock_type::now().time_since_epoch().count();
    const int then = served;
    REQUIRE(eventually([&] { return served > then + 100; }));
    stop = true;
    workers.clear();
    CHECK_NOTHROW(all_serve());
    CHECK(late_errors == 0);
    CHECK(strange == 0);
    CHECK(gate.connections() >= 1);
    CHECK(gate.most_dials_at_once() <= 2);
}

TEST_CASE("a pool of two hosts lends the primary's sessions only, whichever comes first") {
    testing::cluster primary;
    const testing::cluster standby = primary.standby();
    const bool primary_first = GENERATE(true, false);
    pool db{primary_first ? hosts(primary, standby) : hosts(standby, primary), {.max_size = 2}};
    const connection one = db.acquire();
    CHECK(one.role() == host_role::primary);
}

TEST_CASE("after a promotion under load writes go on, nothing committed is lost, nothing done twice") {
    const bool crashes = GENERATE(false, true); // then it is replication that keeps what was committed
    CAPTURE(crashes);
    testing::cluster primary;
    testing::cluster standby = primary.standby({.settings = {{"cluster_name", "other"}}});
    {
        connection admin{primary.url()};
        admin.transact([](transaction& tx) { tx.execute("create table note (id bigint primary key, text text)"); });
    }
    if (crashes) {
        ask(primary.url(), "alter system set synchronous_standby_names = 'other'");
        ask(primary.url(), "select pg_reload_conf()");
        REQUIRE(eventually([&] { return ask(primary.url(), "select sync_state from pg_stat_replication") == "sync"; }));
    }
    pool db{hosts(primary, standby), {.max_size = 4, .acquire_timeout = 60s}};
    std::atomic<bool> stop{false};
    std::atomic<std::int64_t> next{0};
    std::mutex mutex;
    std::set<std::int64_t> stored;
    std::set<std::int64_t> unknown;
    std::vector<std::string> strange;
    {
        std::vector<std::jthread> writers;
        for (int i = 0; i < 4; ++i)
            writers.emplace_back([&] {
                while (!stop) {
                    const std::int64_t id = ++next;
                    try {
                        db.transact([id](transaction& tx) { repository<Note>{tx}.insert({id, "x"}); });
                        const std::lock_guard lock(mutex);
                        stored.insert(id);
                    } catch (const connection_lost& lost) {
                        const std::lock_guard lock(mutex);
                        if (lost.outcome_unknown())
                            unknown.insert(id);
                    } catch (const std::exception& other) {
                        const std::lock_guard lock(mutex);
                        strange.emplace_back(other.what());
                    }
                }
            });
        const auto count = [&] {
            const std::lock_guard lock(mutex);
            return stored.size();
        };
        REQUIRE(eventually([&] { return count() > 200; }));
        if (crashes)
            primary.crash();
        else
            primary.stop(testing::stop_mode::fast); // all that was committed is sent to the standby before it ends
        standby.promote();
        const std::size_t then = count();
        REQUIRE(eventually([&] { return count() > then + 100; }));
        stop = true;
    }
    CAPTURE(strange);
    CHECK(strange.empty());
    connection after{standby.url()};
    const auto ids =
        after.transact([](transaction& tx) { return query<std::int64_t>{"select id from note order by id"}.all(tx); });
    const std::set<std::int64_t> there(ids.begin(), ids.end());
    CHECK(std::ranges::includes(there, stored));
    for (const std::int64_t id : there)
        if (!stored.contains(id) && !unknown.contains(id))
            FAIL("row " << id << " was stored although its writer was told that it was not");
}

TEST_CASE("read_only goes to a replica, and to the primary when there is none or it lags") {
    testing::cluster primary;
    testing::cluster standby = primary.standby();
    pool db{hosts(primary, standby), {.max_size = 2}};
    const auto reader = [&](const read_options& how) {
        return db.read_only(how, [](transaction& tx) {
            return query<bool>{"select pg_is_in_recovery()"}.one(tx) ? host_role::replica : host_role::primary;
        });
    };
    CHECK(eventually([&] { return reader({}) == host_role::replica; }));
    CHECK_THROWS_AS(db.read_only([](transaction& tx) { tx.execute("create table t (n int)"); }), error);

    // A standby that replays nothing for a while, and had replayed something before.
    db.transact([](transaction& tx) { tx.execute("create table before (n int)"); });
    standby.catch_up_with(primary);
    {
        connection admin{standby.url()};
        transaction tx{admin};
        tx.execute("select pg_wal_replay_pause()");
        tx.commit();
    }
    db.transact([](transaction& tx) { tx.execute("create table t (n int)"); });
    CHECK(eventually([&] { return reader({.max_lag = 1ms}) == host_role::primary; }));
    CHECK(reader({.max_lag = 10min}) == host_role::replica);

    // What was written is read, by whoever has it.
    const wal_position written = db.position();
    CHECK(reader({.after = written, .patience = 10ms}) == host_role::primary);
    {
        connection admin{standby.url()};
        transaction tx{admin};
        tx.execute("select pg_wal_replay_resume()");
        tx.commit();
    }
    CHECK(eventually([&] { return reader({.after = written, .patience = 5s}) == host_role::replica; }));
    standby.stop();
    CHECK(reader({}) == host_role::primary);
}

TEST_CASE("a session whose server takes no writes is not lent again") {
    testing::cluster primary;
    const testing::cluster standby = primary.standby();
    pool db{standby.url(), {.max_size = 1}}; // one host: whatever is behind the name
    const int pid = db.acquire().backend_pid();
    db.transact([](transaction& tx) { tx.execute("select 1"); });
    CHECK(db.acquire().backend_pid() == pid);
    CHECK_THROWS_AS(db.transact([](transaction& tx) { tx.execute("create table t (n int)"); }), error);
    CHECK(db.acquire().backend_pid() != pid);
}

TEST_CASE("a pool ends at once, even while a session is being opened to a server that says nothing") {
    gated t;
    t.gate.black_hole();
    // What does not end at once does not end before the test is given up.
    pool db{t.gate.url(), {.min_size = 2, .acquire_timeout = 100ms, .connection = {.connect_timeout = 1h}}};
    CHECK_THROWS_AS(db.acquire(), pool_timeout);
    CHECK(eventually([&] { return db.status().connecting == 2; }));
}

TEST_CASE("no host that serves: the error names what each of them said") {
    testing::cluster primary;
    testing::cluster standby = primary.standby();
    const std::string both = hosts(primary, standby);
    primary.stop();
    pool db{both, {.acquire_timeout = 300ms}};
    CHECK_THAT(in_vain(db, "is no primary"), ContainsSubstring("cannot connect to any host"));
}
