// What a request to cancel may end, and what it may not: it names a session, not a statement.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/testing/cluster.hpp>
#include <tenon/testing/gate.hpp>

#include "postgres/testing/environment_variable.hpp"
#include "support/database_fixture.hpp"
#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using clock_type = std::chrono::steady_clock;

namespace cancel_pgtest {

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("row", tenon::key<&Row::id>);
};

struct Slow {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("slow", tenon::key<&Slow::id>);
};

constexpr int lock_key = 4711;

/// A server behind a gate that can hold requests to cancel back.
struct gated : database_fixture {
    testing::gate gate{database.url()};

    gated() { run("create table row (id bigint primary key, text text not null)"); }

    [[nodiscard]] bool stored(std::int64_t id) {
        transaction tx{db};
        return repository<Row>{tx}.find(id).has_value();
    }
    /// What a session does: its state and its statement.
    [[nodiscard]] std::string activity(int pid) {
        static constexpr query<std::string, int> what{
            "select coalesce(state, '') || ': ' || coalesce(query, '') from pg_stat_activity where pid = $1"};
        return db.transact([&](transaction& tx) { return what.first(tx, pid); }).value_or("gone");
    }
    [[nodiscard]] std::int64_t running(const std::string& text) {
        static constexpr query<std::int64_t, std::string> count{
            "select count(*) from pg_stat_activity where datname = current_database() and state = 'active'"
            " and pid <> pg_backend_pid() and strpos(query, $1) > 0"};
        return db.transact([&](transaction& tx) { return count.one(tx, text); });
    }
};

/// Lets a statement miss its deadline, but end by itself: the request to cancel it is held back at the gate, and is too
/// late for it. False when this machine was too slow for that, and the session was given up.
bool leave_request_pending(gated& t, transaction& tx) {
    t.gate.reset_counters();
    t.gate.hold_cancels();
    std::optional<transaction> holder{std::in_place, t.db};
    holder->execute("select pg_advisory_xact_lock($1)", lock_key);
    const std::jthread releases([&] {
        (void)eventually([&] { return t.gate.cancels() > 0; });
        holder.reset();
    });
    try {
        const deadline limit{tx, 20ms};
        tx.execute("select pg_advisory_xact_lock($1)", lock_key);
    } catch (const connection_lost&) {
        return false;
    }
    return true;
}

/// Releases the request while `innocent` is at work: when the server is seen to run `text`, or after a while in which
/// it was not.
void release_during(gated& t, int pid, const std::string& text, const std::function<void()>& innocent) {
    std::atomic<bool> over{false};
    const std::jthread releases([&] {
        connection other{t.database.url()};
        static constexpr query<bool, int, std::string> runs{"select exists (select from pg_stat_activity where pid = $1"
                                                            " and state = 'active' and strpos(query, $2) > 0)"};
        const auto until = clock_type::now() + 150ms;
        while (!over && clock_type::now() < until &&
               !other.transact([&](transaction& tx) { return runs.one(tx, pid, text); })) {
        }
        t.gate.release_cancels();
    });
    const struct ends {
        std::atomic<bool>& over;
        ~ends() { over = true; }
    } in_any_case{over};
    innocent();
}

void nap(transaction& tx) {
    tx.execute("select pg_sleep(0.2) -- innocent");
}

} // namespace cancel_pgtest

using namespace cancel_pgtest;

TEST_CASE("a request to cancel that comes late ends nothing innocent") {
    gated t;
    // COMMIT takes its time, too.
    t.run("create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.2); return new; end';"
          "create constraint trigger slow after insert on row deferrable initially deferred for each row"
          " execute function slow()");
    pool db{t.gate.url(), {.max_size = 1}};
    const std::string what = GENERATE(as<std::string>{}, "the next statement of its transaction", "its COMMIT",
                                      "the next borrower's, behind a COMMIT", "the next borrower's, behind a ROLLBACK",
                                      "a stream behind it", "a pipeline behind it", "a COPY behind it");
    CAPTURE(what);
    std::int64_t id = 0;
    // One that was settled, however slow the machine: else the session was given up, which ends nothing either.
    CHECK(eventually([&] {
        ++id;
        const auto one = std::make_unique<connection>(db.acquire());
        const int pid = one->backend_pid();
        std::optional<transaction> tx{std::in_place, *one};
        repository<Row>{*tx}.insert({id, "x"});
        bool committed = false;
        try {
            if (!leave_request_pending(t, *tx)) {
                t.gate.open();
                return false;
            }
            REQUIRE(t.gate.cancels() == 1);
            REQUIRE(t.gate.cancels_passed() == 0);
            if (what == "the next statement of its transaction") {
                release_during(t, pid, "innocent", [&] { nap(*tx); });
            } else if (what == "its COMMIT") {
                release_during(t, pid, "commit", [&] {
                    tx->commit();
                    committed = true;
                });
            } else if (what == "the next borrower's, behind a COMMIT") {
                release_during(t, pid, "innocent", [&] {
                    tx->commit();
                    committed = true;
                    transaction next{*one};
                    nap(next);
                });
            } else if (what == "the next borrower's, behind a ROLLBACK") {
                release_during(t, pid, "innocent", [&] {
                    tx->rollback();
                    transaction next{*one};
                    nap(next);
                });
            } else if (what == "a stream behind it") {
                static constexpr query<std::int64_t> warm{"select 1::bigint"};
                release_during(t, pid, "tenon_stream", [&] {
                    (void)warm.one(*tx);
                    for (const Row& row : repository<Row>{*tx}.every().stream())
                        (void)row;
                    nap(*tx);
                });
            } else if (what == "a pipeline behind it") {
                release_during(t, pid, "row", [&] {
                    tx->pipeline([](pipeline& p) { (void)p.find<Row>(std::int64_t{1}); });
                    nap(*tx);
                });
            } else {
                release_during(t, pid, "copy", [&] {
                    repository<Row>{*tx}.copy_in(std::vector<Row>{{-id, "x"}});
                    nap(*tx);
                });
            }
        } catch (const connection_lost& lost) { // not settled in a second
            CHECK_THAT(lost.what(), ContainsSubstring("not settled"));
            CHECK_FALSE(committed);
            t.gate.open();
            return false;
        }
        CHECK(t.gate.cancels_passed() == 1);
        tx.reset();
        CHECK(t.stored(id) == committed);
        return true;
    }));
}

TEST_CASE("a request to cancel that comes late ends nothing of libpqxx's on the same connection") {
    gated t;
    connection one{t.gate.url()};
    t.gate.delay_cancels(100ms);
    CHECK(eventually([&] {
        t.gate.reset_counters();
        transaction tx{one};
        auto& other = as_pqxx(tx);
        {
            std::optional<transaction> holder{std::in_place, t.db};
            holder->execute("select pg_advisory_xact_lock($1)", lock_key);
            const std::jthread releases([&] {
                (void)eventually([&] { return t.gate.cancels() > 0; });
                holder.reset();
            });
            try {
                const deadline limit{tx, 20ms};
                tx.execute("select pg_advisory_xact_lock($1)", lock_key);
            } catch (const deadline_exceeded&) { // this machine was too slow for it to be late
                return false;
            }
        }
        CHECK_NOTHROW(other.exec("select pg_sleep(0.2)"));
        CHECK(t.gate.cancels() == 1);
        return true;
    }));
}

TEST_CASE("a session whose request is not settled within a second is given up, and not lent") {
    gated t;
    pool db{t.gate.url(), {.max_size = 1}};
    int pid = 0;
    const std::string by = GENERATE(as<std::string>{}, "the next statement", "its return",
                                    "COMMIT, which is not sent then: its outcome is known");
    CAPTURE(by);
    {
        connection one = db.acquire();
        pid = one.backend_pid();
        transaction tx{one};
        repository<Row>{tx}.insert({1, "x"});
        const bool pending = leave_request_pending(t, tx); // else it is given up already
        CHECK(one.is_open() == pending);
        if (by == "the next statement")
            CHECK_THROWS_AS(tx.execute("select 1"), connection_lost);
        else if (by != "its return") {
            try {
                tx.commit();
                FAIL("it was sent");
            } catch (const connection_lost& lost) {
                CHECK_FALSE(lost.outcome_unknown());
            }
        }
    }
    CHECK(db.status().idle == 0);
    CHECK(t.gate.cancels_passed() == 0);
    CHECK(db.acquire().backend_pid() != pid);
    CHECK_FALSE(t.stored(1));
}

TEST_CASE("there is one request at a time, however long a session waits for it") {
    gated t;
    connection one{t.gate.url()};
    t.gate.hold_cancels();
    transaction tx{one};
    const deadline limit{tx, 20ms};
    CHECK_THROWS_AS(tx.execute("select pg_sleep(600)"), connection_lost); // after a second
    CHECK(t.gate.cancels() == 1);
    CHECK(t.gate.connections() == 2);
    t.gate.release_cancels();
    CHECK(eventually([&] { return t.running("pg_sleep(600)") == 0; }));
}

TEST_CASE("a request that comes between two statements, where the server ignores it, is repeated") {
    gated t;
    connection one{t.gate.url()};
    static constexpr std::string_view sql = "select pg_sleep(600)::text";
    static constexpr statement sleeps{
        .sql = sql, .operation = "sleep", .results = shapes_of<std::string>, .hash = hash_of(sql)};
    transaction tx{one};
    // In front of the one that sleeps are many for a request to fall between.
    const deadline limit{tx, 20ms};
    CHECK_THROWS_AS(tx.pipeline([&](pipeline& p) {
        for (std::int64_t i = 0; i < 500; ++i)
            (void)p.find<Row>(i);
        parameter_list<0> none;
        (void)p.run<bool>(sleeps, none, [](const result&) { return true; });
    }),
                    deadline_exceeded);
    CHECK(one.is_open());
}

TEST_CASE("a COPY whose rest is there already is not cancelled") {
    gated t;
    t.run("insert into row select i, 'x' from generate_series(1, 20) i");
    connection one{t.gate.url()};
    CHECK(eventually([&] { // the rest is read in time, unless the machine does something else meanwhile
        t.gate.reset_counters();
        one.transact([&](transaction& tx) {
            for (const Row& row : repository<Row>{tx}.copy_out())
                if (row.id == 1) {
                    CHECK(eventually([&] { return t.activity(one.backend_pid()).starts_with("idle in transaction"); }));
                    break;
                }
            tx.execute("select 1");
        });
        return t.gate.cancels() == 0;
    }));
}

TEST_CASE("a COPY or a stream of which much is left is cancelled, and what follows it is not") {
    gated t;
    t.run("create view slow as select i as id, case when i > 40 then pg_sleep(600)::text else repeat('x', 1000) end as"
          " text from generate_series(1::bigint, 100) i");
    connection one{t.gate.url()};
    t.gate.delay_cancels(20ms);
    const bool copies = GENERATE(true, false);
    CAPTURE(copies);
    const auto leave_early = [&](transaction& tx) {
        const auto first = [](auto&& rows) {
            for (const Slow& row : rows)
                return row.id;
            return std::int64_t{0};
        };
        CHECK(first(copies ? repository<Slow>{tx}.copy_out() : repository<Slow>{tx}.every().stream()) == 1);
    };
    for (std::int64_t i = 1; i < 4; ++i)
        one.transact([&](transaction& tx) {
            repository<Row>{tx}.insert({i, "before"});
            leave_early(tx);
            nap(tx);
            leave_early(tx);
            repository<Row>{tx}.insert({-i, "behind"});
            leave_early(tx); // COMMIT follows
        });
    CHECK(t.gate.cancels() >= 9);
    CHECK(t.stored(3));
    CHECK(t.stored(-3));
    one.transact([&](transaction& tx) { // as far as it was read, nothing is in the way of the next borrower
        leave_early(tx);
        tx.rollback();
    });
    CHECK_NOTHROW(one.transact(nap));
    CHECK(t.running("slow") == 0);
}

TEST_CASE("what response_timeout gives up is cancelled on the server") {
    gated t;
    t.run("create view slow as select i as id, case when i > 40 then pg_sleep(600)::text else repeat('x', 1000) end as"
          " text from generate_series(1::bigint, 100) i;"
          "create function sleeps() returns trigger language plpgsql as 'begin perform pg_sleep(600); return new; end';"
          "create trigger sleeps before insert on row for each row execute function sleeps()");
    pool db{t.gate.url(), {.max_size = 1, .connection = {.response_timeout = 200ms}}};
    const std::function<void(transaction&)> run = GENERATE(
        as<std::function<void(transaction&)>>{}, [](transaction& tx) { tx.execute("select pg_sleep(600)"); },
        [](transaction& tx) { tx.execute("select pg_sleep($1)", 600.0); },
        [](transaction& tx) { repository<Row>{tx}.insert({1, "x"}); },
        [](transaction& tx) { tx.pipeline([](pipeline& p) { (void)p.insert(Row{1, "x"}); }); },
        [](transaction& tx) { repository<Row>{tx}.copy_in(std::vector<Row>{{1, "x"}}); },
        [](transaction& tx) {
            for (const Slow& row : repository<Slow>{tx}.every().stream())
                (void)row;
        },
        [](transaction& tx) {
            for (const Slow& row : repository<Slow>{tx}.copy_out())
                (void)row;
        });
    for (int i = 0; i < 3; ++i)
        CHECK_THROWS_AS(db.transact({.attempts = 1}, run), connection_lost);
    static constexpr query<std::int64_t> sessions{"select count(*) from pg_stat_activity where datname ="
                                                  " current_database() and pid <> pg_backend_pid()"};
    CHECK(eventually([&] { return t.db.transact([](transaction& tx) { return sessions.one(tx); }) == 0; }));
}

TEST_CASE("a cancellation from outside is no missed deadline") {
    gated t;
    transaction tx{t.db};
    const deadline limit{tx, 1h};
    std::jthread cancels([pid = t.db.backend_pid(), url = t.database.url()] {
        connection other{url};
        static constexpr query<bool, int> cancel{
            "select bool_and(pg_cancel_backend(pid)) from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'"};
        (void)eventually(
            [&] { return other.transact([&](transaction& through) { return cancel.one(through, pid); }); });
    });
    try {
        tx.execute("select pg_sleep(600)");
        FAIL("slept");
    } catch (const deadline_exceeded&) {
        FAIL("it had an hour");
    } catch (const error& cancelled) {
        CHECK(cancelled.sqlstate() == "57014");
    }
}

// --- COMMIT, and a synchronous standby that is not there
// --------------------------------------------------------------

namespace {

/// A server whose commits wait for ever, behind a gate that counts requests to cancel.
struct without_standby {
    testing::cluster server;
    testing::gate gate{server.url()};
    connection admin{server.url() + "&options=-csynchronous_commit%3Dlocal"};

    explicit without_standby(std::vector<std::pair<std::string, std::string>> settings = {})
        : server([&] {
              settings.emplace_back("synchronous_standby_names", "absent");
              return testing::cluster_options{.settings = std::move(settings)};
          }()) {
        admin.transact([](transaction& tx) { tx.execute("create table row (id bigint primary key, text text)"); });
    }
    [[nodiscard]] bool waits_for_standby(int pid) {
        static constexpr query<bool, int> waits{
            "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'SyncRep')"};
        return admin.transact([&](transaction& tx) { return waits.one(tx, pid); });
    }
    void end(int pid, const char* by) {
        admin.transact([&](transaction& tx) { tx.execute(std::string("select ") + by + "($1)", pid); });
    }
    [[nodiscard]] bool stored(std::int64_t id) {
        return admin.transact([&](transaction& tx) { return repository<Row>{tx}.find(id).has_value(); });
    }
};

enum class how { scope, object, pipeline };

/// Stores a row in a transaction whose deadline passes while COMMIT waits. `acted` tells whether what was to be done
/// after the commit was, `runs` how often the body was run. Throws deadline_exceeded when it did not come so far.
void store(connection& one, how way, std::int64_t id, std::chrono::milliseconds within, bool& acted, int& runs) {
    const auto body = [&](transaction& tx) {
        ++runs;
        tx.on_commit([&] { acted = true; });
        if (way == how::pipeline)
            tx.pipeline([&](pipeline& p) {
                (void)p.insert(Row{id, "x"});
                p.commit();
            });
        else
            repository<Row>{tx}.insert({id, "x"});
    };
    if (way == how::object) {
        transaction tx{one};
        body(tx);
        const deadline limit{tx, within};
        tx.commit();
    } else
        one.transact({.deadline = within}, body);
}

} // namespace

TEST_CASE("COMMIT waits for the synchronous standby whatever the deadline was, and is unknown when that is cut short") {
    without_standby t;
    const how way = GENERATE(how::scope, how::object, how::pipeline);
    const char* const by = GENERATE("pg_cancel_backend", "pg_terminate_backend");
    CAPTURE(way, by);
    const std::int64_t id = 10 * static_cast<std::int64_t>(way) + (std::string_view(by) == "pg_cancel_backend" ? 1 : 2);
    bool acted = false;
    for (auto within = 50ms;; within *= 2) { // until this machine comes to its commit in time
        connection one{t.gate.url()};
        const int pid = one.backend_pid();
        int runs = 0;
        t.gate.reset_counters();
        const auto late = clock_type::now() + within;
        auto committing = std::async(std::launch::async, [&] { store(one, way, id, within, acted, runs); });
        while (committing.wait_for(1ms) != std::future_status::ready)
            if (clock_type::now() > late + 20ms && t.waits_for_standby(pid)) {
                CHECK(t.gate.cancels() == 0);
                t.end(pid, by);
                break;
            }
        try {
            committing.get();
            FAIL("it returned");
        } catch (const deadline_exceeded&) {
            CHECK_FALSE(t.stored(id));
            continue;
        } catch (const error& unknown) {
            CHECK(unknown.outcome_unknown());
            CHECK_FALSE(unknown.retryable());
            const bool lost = dynamic_cast<const connection_lost*>(&unknown) != nullptr;
            CHECK(lost == (std::string_view(by) == "pg_terminate_backend"));
            CHECK(one.is_open() != lost);
        }
        CHECK(runs == 1);
        break;
    }
    CHECK_FALSE(acted);
    CHECK(t.stored(id));
}

TEST_CASE("a wait for the standby that is cut short is noticed in any language, and where warnings are switched off") {
    const std::string what = GENERATE(as<std::string>{}, "lc_messages", "of the connection", "of the role", "by SQL");
    CAPTURE(what);
    const environment_variable language{"LANGUAGE", "de"}; // of the server; heeded where its locale is not "C"
    without_standby t{{{"lc_messages", what == "lc_messages" ? "C.UTF-8" : "C"}}};
    std::string url = t.gate.url();
    const auto run = [&](const char* sql) {
        try {
            t.admin.transact([&](transaction& tx) { tx.execute(sql); });
            return true;
        } catch (const error&) {
            return false;
        }
    };
    if (what == "lc_messages") {
        try {
            t.admin.transact([](transaction& tx) { tx.execute("select no_such_column"); });
        } catch (const error& said) {
            if (said.server_message().find("does not exist") != std::string_view::npos)
                SKIP("the server speaks no other language");
        }
    } else if (what == "of the connection")
        url += " options='-c client_min_messages=error'";
    else if (what == "of the role")
        REQUIRE(run("alter role postgres set client_min_messages = error"));
    const bool by_pipeline = GENERATE(false, true);
    CAPTURE(by_pipeline);
    connection one{url};
    const int pid = one.backend_pid();
    auto committing = std::async(std::launch::async, [&] {
        transaction tx{one};
        if (what == "by SQL")
            tx.execute("set local client_min_messages = error");
        tx.pipeline([&](pipeline& p) {
            (void)p.insert(Row{1, "x"});
            if (by_pipeline)
                p.commit();
        });
        if (!by_pipeline)
            tx.commit();
    });
    CHECK(eventually([&] { return t.waits_for_standby(pid); }));
    t.end(pid, "pg_cancel_backend");
    try {
        committing.get();
        FAIL("it returned");
    } catch (const error& unknown) {
        CHECK(unknown.outcome_unknown());
    }
}
