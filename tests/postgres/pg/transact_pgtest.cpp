// transact beyond its retries: attempts, parts, actions behind the commit, deadlines, and outcomes found out later.
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/core/slow_statements.hpp>
#include <tenon/pg/pool.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"
#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace transact_pgtest {

struct Note {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("note", tenon::key<&Note::id>);
};

struct notes : database_fixture {
    notes() { run("create table note (id bigint primary key, text text not null)"); }
    std::uint64_t count() {
        transaction tx{db};
        return tx.execute("select from note");
    }
};

constexpr const char* fail_to_serialize = "do $$ begin raise exception 'again' using errcode = '40001'; end $$";

struct event_log : observer {
    std::mutex mutex{};
    std::vector<std::string> lines{};
    void add(std::string line) {
        const std::lock_guard lock(mutex);
        lines.push_back(std::move(line));
    }
    void acquired(const acquire_event& event) noexcept override {
        add(std::string("acquired from ") + std::string(event.pool) + (event.timed_out ? " in vain" : ""));
    }
    void released(const release_event& event) noexcept override {
        add(event.use > 0ns ? "released" : "released at once");
    }
    void connected(const connect_event& event) noexcept override {
        add(event.error.empty() ? event.role == host_role::primary ? "connected to a primary" : "connected"
                                : "not connected " + std::string(event.response_status));
    }
    void executed(const statement_event& event) noexcept override {
        add(std::string(event.operation) + " " + std::string(event.collection) + " " +
            std::string(event.response_status) + " " + std::to_string(event.rows));
    }
    void ended(const transaction_event& event) noexcept override {
        add(event.outcome == transaction_event::end::committed ? "committed" : "rolled back");
    }
    void retried(const retry_event& event) noexcept override {
        add("retry in " + std::string(event.pool) + " after " + std::to_string(event.attempt) + " " +
            std::string(event.response_status));
    }
};

/// Knows which of them are slow, too.
struct slow_log : event_log {
    static constexpr auto threshold = 50ms;
    static std::string line(const statement_event& event) {
        return std::string(event.operation) + (event.duration >= threshold ? " slow" : " quick") +
               (event.wait > 0ns ? ", waited" : "") + ", rows " + std::to_string(event.rows) +
               (event.role == host_role::primary ? ", primary" : "");
    }
    std::vector<std::string> slow{};
    void executed(const statement_event& event) noexcept override {
        event_log::executed(event);
        if (event.duration >= threshold)
            slow.push_back(line(event));
    }
};

} // namespace transact_pgtest

using namespace transact_pgtest;

TEST_CASE("the body sees which attempt it is") {
    notes t;
    std::vector<int> seen;
    t.db.transact({.attempts = 3, .backoff = 1ms}, [&](transaction& tx) {
        seen.push_back(tx.attempt());
        if (tx.attempt() < 3)
            tx.execute(fail_to_serialize);
    });
    CHECK(seen == std::vector{1, 2, 3});
}

TEST_CASE("a part of a transaction can fail alone") {
    notes t;
    t.db.transact([](transaction& tx) {
        repository<Note> all{tx};
        all.insert({1, "kept"});
        CHECK_THROWS_AS(tx.transact([&](transaction&) {
            all.insert({2, "lost"});
            all.insert({1, "twice"});
        }),
                        unique_violation);
        CHECK(tx.transact([&](transaction& part) { return repository<Note>{part}.insert({3, "kept, too"}).id; }) == 3);
    });
    CHECK(t.count() == 2);
}

TEST_CASE("a serialization failure in a part runs the whole again") {
    notes t;
    int runs = 0;
    t.db.transact({.backoff = 1ms}, [&](transaction& tx) {
        ++runs;
        repository<Note>{tx}.insert({runs, "each time anew"});
        tx.transact([&](transaction& part) {
            if (runs == 1)
                part.execute(fail_to_serialize);
        });
    });
    CHECK(runs == 2);
    CHECK(t.count() == 1);
}

TEST_CASE("actions run once, after the commit, in order, and not after a rollback") {
    notes t;
    std::string trace;
    t.db.transact({.backoff = 1ms}, [&](transaction& tx) {
        tx.on_commit([&] { trace += "first " + std::to_string(t.db.is_open()); });
        tx.on_commit([&] { trace += " second"; });
        if (tx.attempt() == 1)
            tx.execute(fail_to_serialize);
    });
    CHECK(trace == "first 1 second");
    {
        transaction tx{t.db};
        tx.on_commit([&] { trace = "never"; });
    }
    CHECK(trace == "first 1 second");
    transaction tx{t.db};
    tx.on_commit([&] { trace = "by a pipeline"; });
    tx.pipeline([](pipeline& p) {
        (void)p.insert(Note{9, "nine"});
        p.commit();
    });
    CHECK(trace == "by a pipeline");
}

TEST_CASE("an action that fails does not run a stored transaction again") {
    notes t;
    int runs = 0;
    CHECK_THROWS_AS(t.db.transact({.backoff = 1ms},
                                  [&](transaction& tx) {
                                      ++runs;
                                      repository<Note>{tx}.insert({1, "stored"});
                                      tx.on_commit(
                                          [] { throw serialization_failure("of another", {.sqlstate = "40001"}); });
                                  }),
                    serialization_failure);
    CHECK(runs == 1);
    CHECK(t.count() == 1);
}

TEST_CASE("a deadline ends what runs too long, and the transaction with it") {
    notes t;
    CHECK_THROWS_AS(t.db.transact({.deadline = 100ms},
                                  [](transaction& tx) {
                                      repository<Note>{tx}.insert({1, "lost"});
                                      tx.execute("select pg_sleep(60)");
                                  }),
                    deadline_exceeded);
    CHECK(t.count() == 0);
}

TEST_CASE("a deadline ends with its transaction, however that ends") {
    notes t;
    const auto way = GENERATE(Catch::Generators::range(0, 4));
    CAPTURE(way);
    const auto end_before = [&](std::chrono::milliseconds limit) {
        transaction tx{t.db, {.deadline = limit}};
        if (way == 0)
            tx.commit(); // nothing was sent
        if (way == 1) {
            repository<Note>{tx}.insert({1, "stored"});
            tx.commit();
        }
        if (way == 2)
            tx.pipeline([](pipeline& p) {
                (void)p.insert(Note{1, "stored"});
                p.commit();
            });
    }; // else rolled back
    auto limit = 100ms;
    std::chrono::steady_clock::time_point until;
    REQUIRE(eventually([&] { // more time is given until it is enough
        until = std::chrono::steady_clock::now() + limit + 10ms;
        try {
            end_before(limit);
            return true;
        } catch (const deadline_exceeded&) {
            limit *= 4;
            return false;
        }
    }));
    std::this_thread::sleep_until(until); // the deadline itself has to pass
    transaction next{t.db};
    CHECK_NOTHROW(next.execute("select 1"));
}

TEST_CASE("attempts and pauses end with the deadline, and the failure is told") {
    notes t;
    constexpr int most = 1'000'000; // with their pauses they would take hours
    int runs = 0;
    for (auto limit = 150ms; runs < 2 && limit < 1min; limit *= 4) { // until there is time for more than one
        runs = 0;
        CHECK_THROWS_AS(t.db.transact({.attempts = most, .backoff = 20ms, .deadline = limit},
                                      [&](transaction& tx) {
                                          ++runs;
                                          tx.execute(fail_to_serialize);
                                      }),
                        error);
    }
    CHECK(runs > 1);
    CHECK(runs < most);
}

TEST_CASE("the deadline holds for the wait for a connection, too") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1, .acquire_timeout = 60s}};
    const connection held = db.acquire();
    CHECK_THROWS_AS(db.transact({.deadline = 50ms}, [](transaction&) {}), pool_timeout);
}

TEST_CASE("what became of a transaction can be asked for by its id") {
    notes t;
    std::uint64_t stored = 0;
    std::uint64_t undone = 0;
    {
        transaction tx{t.db, {.keep_id = true}};
        CHECK(tx.id() == 0); // nothing was sent yet
        repository<Note>{tx}.insert({1, "stored"});
        stored = tx.id();
        tx.commit();
    }
    {
        transaction tx{t.db, {.keep_id = true}};
        tx.execute("insert into note values (2, 'undone')");
        undone = tx.id();
    }
    connection other{t.database.url()};
    transaction open{other, {.keep_id = true}};
    (void)query<int>{"select 1"}.one(open);
    transaction tx{t.db};
    REQUIRE(stored != 0);
    REQUIRE(undone > stored);
    CHECK(commit_status(tx, stored) == commit_state::committed);
    CHECK(commit_status(tx, undone) == commit_state::rolled_back);
    CHECK(commit_status(tx, open.id(), 5ms) == commit_state::in_progress);
    CHECK_THROWS_AS(commit_status(tx, 0), usage_error);
}

TEST_CASE("an observer is told what happened, by operation and collection and never by text") {
    notes t;
    const auto log = std::make_shared<event_log>();
    {
        pool db{t.database.url(), {.max_size = 1, .name = "main", .connection = {.observer = log}}};
        db.transact({.backoff = 1ms}, [](transaction& tx) {
            repository<Note>{tx}.insert({tx.attempt(), "secret"});
            if (tx.attempt() == 1)
                tx.execute(fail_to_serialize);
        });
        const connection held = db.acquire();
        CHECK_THROWS_AS(db.acquire(1ms), pool_timeout);
    }
    const std::vector<std::string> expected{"connected to a primary",
                                            "acquired from main",
                                            "insert into note  1",
                                            "statement  40001 0",
                                            "rolled back",
                                            "released",
                                            "retry in main after 1 40001",
                                            "acquired from main",
                                            "insert into note  1",
                                            "committed",
                                            "released",
                                            "acquired from main",
                                            "acquired from main in vain",
                                            "released"};
    CHECK(log->lines == expected);
}

TEST_CASE("an observer is told of pipelines, streams, COPY and refused connections") {
    notes t;
    const auto log = std::make_shared<event_log>();
    connection db{t.database.url(), {.observer = log}};
    transaction tx{db};
    repository<Note> all{tx};
    all.copy_in(std::vector<Note>{{1, "a"}, {2, "b"}});
    for ([[maybe_unused]] const Note& each : all.every().stream()) {
    }
    tx.pipeline([](pipeline& p) {
        (void)p.find<Note>(std::int64_t{1});
        p.commit();
    });
    CHECK_THROWS_AS(connection(t.database.url() + " user=not_there", {.observer = log}), connection_failed);
    const std::vector<std::string> expected{"connected to a primary", "copy into note  2", "select from note  2",
                                            "select from note  1",    "commit   0",        "committed",
                                            "not connected 28000"};
    CHECK(log->lines == expected);
}

TEST_CASE("slow statements are told with name, wait, rows and role, and passed on") {
    notes t;
    const auto log = std::make_shared<slow_log>();
    std::vector<std::string> slow;
    const auto observer = std::make_shared<slow_statements>(
        slow_log::threshold, [&](const statement_event& event) { slow.push_back(slow_log::line(event)); }, log);
    pool db{t.database.url(), {.max_size = 1, .connection = {.observer = observer}}};
    db.transact([](transaction& tx) {
        tx.execute("select 1");
        (void)query<bool, double>{"select true from pg_sleep($1)"}.one(tx, 0.06);
    });
    CHECK(slow == log->slow); // on a busy machine there may be more than the one
    REQUIRE(!slow.empty());
    CHECK(slow.back() == "query slow, waited, rows 1, primary");
    CHECK(log->lines.size() == 6);
}
