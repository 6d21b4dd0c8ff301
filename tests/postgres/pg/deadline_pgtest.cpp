#include <tenon/pg/deadline.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/election/election.hpp>
#include <tenon/pg/install.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a statement past its deadline is cancelled on the server, and the session goes on") {
    database_fixture t;
    {
        transaction tx(t.db);
        const deadline limit(tx, 50ms);
        try {
            tx.execute("select pg_sleep(60)");
            FAIL("slept");
        } catch (const deadline_exceeded& late) {
            CHECK(late.sqlstate() == "57014");
            CHECK_THAT(late.what(), ContainsSubstring("deadline"));
        }
    }
    CHECK(t.db.is_open());
    CHECK_NOTHROW(t.run("select 1"));
}

TEST_CASE("a savepoint saves the transaction from a deadline") {
    database_fixture t;
    transaction tx(t.db);
    try {
        savepoint attempt(tx);
        const deadline limit(tx, 50ms);
        tx.execute("select pg_sleep(60)");
    } catch (const deadline_exceeded&) {
    }
    CHECK(tx.execute("select 1") == 1);
    tx.commit();
}

TEST_CASE("nothing is sent once the deadline has passed") {
    database_fixture t;
    transaction tx(t.db);
    tx.execute("create table n (n int)");
    {
        const deadline limit(tx, -1ms);
        CHECK_THROWS_AS(tx.execute("insert into n values (1)"), deadline_exceeded);
    }
    CHECK(tx.execute("select * from n") == 0);
    tx.commit();
}

TEST_CASE("deadlines nest, the earlier one counts, and both end") {
    database_fixture t;
    transaction tx(t.db);
    {
        const deadline outer(tx, 60s);
        {
            savepoint attempt(tx);
            const deadline inner(tx, 20ms);
            CHECK_THROWS_AS(tx.execute("select pg_sleep(60)"), deadline_exceeded);
        }
        tx.execute("select pg_sleep(0.03)");
    }
    tx.execute("select pg_sleep(0.03)");
}

TEST_CASE("a deadline that is met changes nothing") {
    database_fixture t;
    transaction tx(t.db);
    const deadline limit(tx, 60s);
    CHECK(tx.execute("select 1") == 1);
    tx.commit();
}

TEST_CASE("a deadline ends a pipeline, too") {
    database_fixture t;
    transaction tx(t.db);
    tx.execute("create table nap (id bigint primary key); create function slow() returns trigger language plpgsql as"
               " 'begin perform pg_sleep(60); return new; end';"
               "create trigger slow before insert on nap for each row execute function slow()");
    const deadline limit(tx, 100ms);
    static constexpr statement insert{
        .sql = "insert into nap values (1)", .operation = "insert", .hash = hash_of("insert into nap values (1)")};
    CHECK_THROWS_AS(tx.pipeline([](pipeline& p) {
        parameter_list<0> none;
        (void)p.run<bool>(insert, none, [](const result&) { return true; });
    }),
                    deadline_exceeded);
}

// --- every path
// -------------------------------------------------------------------------------------------------------

namespace deadline_pgtest {

/// A row of a number below zero takes ten minutes to be stored.
struct Nap {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("nap", tenon::key<&Nap::id>);
};

/// The first row takes ten minutes.
struct LateRow {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("late_row", tenon::key<&LateRow::id>);
};

/// The rows behind the 40th do.
struct SlowRow {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("slow_row", tenon::key<&SlowRow::id>);
};

constexpr const char* slow_things =
    "create table nap (id bigint primary key, text text not null);"
    "create function sleeps() returns trigger language plpgsql as 'begin perform pg_sleep(600); return new; end';"
    "create trigger sleeps before insert on nap for each row when (new.id < 0) execute function sleeps();"
    "create view late_row as select i as id, pg_sleep(600)::text as text from generate_series(1::bigint, 3) i;"
    "create view slow_row as select i as id, case when i > 40 then pg_sleep(600)::text else repeat('x', 1000) end as"
    " text from generate_series(1::bigint, 100) i";

void read(auto&& rows) {
    for (const auto& row : rows)
        (void)row;
}

void queue(transaction& tx, int position, int count) {
    tx.pipeline([&](pipeline& p) {
        for (int i = 1; i <= count; ++i)
            if (i == position)
                (void)p.insert(Nap{-1, "slow"});
            else
                (void)p.find<Nap>(static_cast<std::int64_t>(i));
    });
}

struct path {
    const char* name;
    std::function<void(transaction&)> run;
};

/// What takes ten minutes unless something ends it.
std::vector<path> paths() {
    return {
        {"raw SQL", [](transaction& tx) { tx.execute("select pg_sleep(600)"); }},
        {"raw SQL of several statements",
         [](transaction& tx) { tx.execute("select 1; select pg_sleep(600); select 2"); }},
        {"SQL with parameters", [](transaction& tx) { tx.execute("select pg_sleep($1)", 600.0); }},
        {"a query",
         [](transaction& tx) { (void)query<std::string, double>{"select pg_sleep($1)::text"}.one(tx, 600.0); }},
        {"a repository's statement", [](transaction& tx) { repository<Nap>{tx}.insert({-1, "x"}); }},
        {"rows of a repository", [](transaction& tx) { (void)repository<LateRow>{tx}.every().all(); }},
        {"a pipeline of one", [](transaction& tx) { queue(tx, 1, 1); }},
        {"a pipeline's first", [](transaction& tx) { queue(tx, 1, 5); }},
        {"one in the middle of a pipeline", [](transaction& tx) { queue(tx, 3, 5); }},
        {"a pipeline's last", [](transaction& tx) { queue(tx, 5, 5); }},
        {"a stream before its first row", [](transaction& tx) { read(repository<LateRow>{tx}.every().stream()); }},
        {"a stream in the middle", [](transaction& tx) { read(repository<SlowRow>{tx}.every().stream()); }},
        {"a COPY OUT before its first row", [](transaction& tx) { read(repository<LateRow>{tx}.copy_out()); }},
        {"a COPY OUT in the middle", [](transaction& tx) { read(repository<SlowRow>{tx}.copy_out()); }},
        {"the end of a COPY IN",
         [](transaction& tx) { repository<Nap>{tx}.copy_in(std::vector<Nap>{{101, "x"}, {-1, "x"}, {102, "x"}}); }},
        {"a COPY IN whose server does not read", // more than sockets hold
         [](transaction& tx) {
             repository<Nap>{tx}.copy_in([](auto& sink) {
                 const Nap row{-1, std::string(10'000, 'x')};
                 for (int i = 0; i < 2'000; ++i)
                     sink(row);
             });
         }},
        {"a nested transact",
         [](transaction& tx) { tx.transact([](transaction& inner) { inner.execute("select pg_sleep(600)"); }); }},
        {"a savepoint's statement",
         [](transaction& tx) {
             savepoint part{tx};
             repository<Nap>{tx}.insert({-1, "x"});
             part.release();
         }},
    };
}

/// What makes the statements of these paths known to a session.
void make_known(connection& db) {
    transaction tx{db};
    repository<Nap> naps{tx};
    naps.insert({1'000, "x"});
    (void)naps.find(std::int64_t{1'000});
    tx.execute("select pg_sleep($1)", 0.0);
    (void)query<std::string, double>{"select pg_sleep($1)::text"}.one(tx, 0.0);
}

} // namespace deadline_pgtest

using namespace deadline_pgtest;

TEST_CASE("a missed deadline is deadline_exceeded on every path, stores nothing, and the session goes on") {
    const std::size_t cache = GENERATE(256U, 0U, 1U);
    const bool keep_id = GENERATE(false, true);
    const bool known = GENERATE(false, true);
    CAPTURE(cache, keep_id, known);
    database_fixture t;
    t.run(slow_things);
    connection db{t.database.url(), {.statement_cache = cache}};
    const int pid = db.backend_pid();
    bool by_object = false;
    for (const bool first : {true, false})
        for (const path& way : paths()) {
            CAPTURE(first, by_object, way.name);
            if (known)
                make_known(db);
            else
                db = connection{t.database.url(), {.statement_cache = cache}};
            try {
                transaction tx{db, {.deadline = by_object ? 0ms : 30ms, .keep_id = keep_id}};
                if (!first)
                    repository<Nap>{tx}.insert({1, "not to be stored"});
                std::optional<deadline> limit;
                if (by_object)
                    limit.emplace(tx, 30ms);
                way.run(tx);
                FAIL("it was done");
            } catch (const deadline_exceeded& late) {
                CHECK_THAT(late.what(), ContainsSubstring("deadline"));
            } catch (const error& other) {
                FAIL_CHECK(other.what());
            }
            REQUIRE(db.is_open());
            CHECK((!known || db.backend_pid() == pid));
            CHECK_NOTHROW(db.transact([](transaction& tx) {
                tx.execute("select pg_sleep(0.04)"); // what the deadline's end would hit
                CHECK(repository<Nap>{tx}.count() == 0);
            }));
            by_object = !by_object;
        }
}

TEST_CASE("behind a savepoint the transaction goes on after a missed deadline, on every path") {
    const bool keep_id = GENERATE(false, true);
    const bool deadline_first = GENERATE(false, true);
    CAPTURE(keep_id, deadline_first);
    database_fixture t;
    t.run(slow_things);
    for (const path& way : paths()) {
        CAPTURE(way.name);
        t.run("truncate nap");
        transaction tx{t.db, {.keep_id = keep_id}};
        repository<Nap> naps{tx};
        naps.insert({1, "before"});
        try {
            if (deadline_first) { // the savepoint ends when the deadline has passed, and is still in force
                const deadline limit{tx, 30ms};
                const savepoint part{tx};
                naps.insert({2, "undone"});
                way.run(tx);
            } else {
                const savepoint part{tx};
                naps.insert({2, "undone"});
                const deadline limit{tx, 30ms};
                way.run(tx);
            }
            FAIL("it was done");
        } catch (const deadline_exceeded&) {
        }
        CHECK_NOTHROW(tx.execute("select pg_sleep(0.01)"));
        CHECK_NOTHROW(naps.insert({3, "behind"}));
        CHECK_NOTHROW(tx.commit());
        transaction after{t.db};
        CHECK(repository<Nap>{after}.find(std::int64_t{1}));
        CHECK_FALSE(repository<Nap>{after}.find(std::int64_t{2}));
        CHECK(repository<Nap>{after}.find(std::int64_t{3}));
    }
}

TEST_CASE("a nested transaction inside of a deadline's scope is undone once the deadline has passed") {
    database_fixture t;
    t.run(slow_things);
    transaction tx{t.db};
    repository<Nap> naps{tx};
    {
        const deadline limit{tx, 30ms};
        CHECK_THROWS_AS(tx.transact([&](transaction& inner) {
            naps.insert({1, "undone"});
            inner.transact([&](transaction& innermost) {
                naps.insert({2, "undone"});
                innermost.execute("select pg_sleep(600)");
            });
        }),
                        deadline_exceeded);
    }
    naps.insert({3, "kept"});
    CHECK(naps.count() == 1);
    CHECK_NOTHROW(tx.commit());
}

TEST_CASE("a savepoint that ends behind its deadline is undone, even where no statement was late") {
    database_fixture t;
    t.run(slow_things);
    transaction tx{t.db};
    repository<Nap> naps{tx};
    {
        savepoint part{tx};
        naps.insert({1, "undone"});
        const deadline limit{tx, -1ms};
        CHECK_THROWS_AS(naps.insert({2, "not sent"}), deadline_exceeded);
        part.rollback(); // heeds no deadline
    }
    naps.insert({3, "kept"});
    CHECK_NOTHROW(tx.commit());
    transaction after{t.db};
    CHECK(repository<Nap>{after}.count() == 1);
}

TEST_CASE("the deadline of a transaction ends with it") {
    const std::size_t cache = GENERATE(256U, 0U);
    database_fixture t;
    t.run("create table nap (id bigint primary key, text text not null)");
    connection db{t.database.url(), {.statement_cache = cache}};
    {
        transaction tx{db, {.deadline = 10s}};
        const deadline limit{tx, 5s};
        tx.execute("select 1");
        const bool commits = GENERATE(true, false);
        if (commits)
            tx.commit();
        else
            tx.rollback();
        transaction next{db}; // while the objects of the one before are still there
        CHECK_NOTHROW(next.execute("select pg_sleep(0.01)"));
    }
    for (int i = 0; i < 3; ++i) {
        try {
            transaction tx{db, {.deadline = 20ms}};
            tx.execute("select pg_sleep($1)", 0.0195); // as likely met as missed
            tx.commit();
        } catch (const deadline_exceeded&) {
        }
        CHECK_NOTHROW(db.transact([](transaction& tx) {
            tx.execute("select pg_sleep($1)", 0.03);
            read(repository<Nap>{tx}.every().stream());
        }));
    }
}

TEST_CASE("a deadline that outlives its transaction changes nothing for the next one") {
    database_fixture t;
    std::optional<transaction> first{std::in_place, t.db, transaction_options{.deadline = 30ms}};
    std::optional<deadline> limit{std::in_place, *first, 20ms};
    first->execute("select 1");
    first->rollback();

    transaction next{t.db};
    next.execute("select 1");
    limit.reset(); // gives nothing back to what is not its own
    std::this_thread::sleep_for(40ms);
    CHECK_NOTHROW(next.execute("select pg_sleep(0.01)"));
    CHECK_NOTHROW(next.commit());
    first.reset();
    CHECK_NOTHROW(t.run("select 1"));
}

TEST_CASE("a deadline's whole range means what it says") {
    database_fixture t;
    transaction tx{t.db};
    using std::chrono::milliseconds;
    for (const milliseconds ahead : {milliseconds::max(), milliseconds::max() - 1ms, milliseconds::max() / 1'000'000,
                                     milliseconds{std::chrono::hours{24 * 365 * 250}}}) {
        CAPTURE(ahead.count());
        const deadline limit{tx, ahead};
        CHECK_NOTHROW(tx.execute("select 1"));
    }
    for (const milliseconds ago : {milliseconds::min(), milliseconds::min() + 1ms, -milliseconds::max() / 1'000'000,
                                   -milliseconds{std::chrono::hours{24 * 365 * 250}}, milliseconds{-10'000'000'000'000},
                                   milliseconds{-1}, milliseconds{0}}) {
        CAPTURE(ago.count());
        const deadline limit{tx, ago};
        CHECK_THROWS_AS(tx.execute("select 1"), deadline_exceeded);
    }
    CHECK_NOTHROW(tx.commit());
    CHECK_NOTHROW(t.db.transact({.deadline = milliseconds::max()}, [](transaction& one) { one.execute("select 1"); }));
}

TEST_CASE("a deadline that passes while rows are made ends their COPY") {
    database_fixture t;
    t.run("create table nap (id bigint primary key, text text not null)");
    transaction tx{t.db};
    try {
        const savepoint part{tx};
        std::optional<deadline> limit;
        repository<Nap>{tx}.copy_in([&](auto& sink) {
            sink(Nap{1, "x"});
            limit.emplace(tx, -1ms); // as if that had taken long
            sink(Nap{2, "x"});
        });
        FAIL("it was done");
    } catch (const deadline_exceeded&) {
    }
    CHECK(repository<Nap>{tx}.count() == 0);
    CHECK_NOTHROW(tx.commit());
}

TEST_CASE("a deadline that passes while rows are used ends their stream, which counts as left") {
    database_fixture t;
    t.run("create table nap (id bigint primary key, text text not null);"
          "insert into nap select i, repeat('x', 1000) from generate_series(1, 20000) i");
    const bool copies = GENERATE(true, false);
    CAPTURE(copies);
    transaction tx{t.db};
    {
        std::optional<deadline> limit;
        std::int64_t rows = 0;
        const auto use = [&](auto&& all) {
            for (const Nap& row : all) {
                (void)row;
                if (++rows == 10)
                    limit.emplace(tx, -1ms);
            }
        };
        CHECK_THROWS_AS(copies ? use(repository<Nap>{tx}.copy_out()) : use(repository<Nap>{tx}.every().stream()),
                        deadline_exceeded);
        CHECK(rows < 20'000);
    }
    CHECK(repository<Nap>{tx}.count() == 20'000); // the transaction goes on
    CHECK_NOTHROW(tx.commit());
}

TEST_CASE("a pipeline that misses its deadline does not commit") {
    database_fixture t;
    t.run(slow_things);
    for (const bool known : {false, true}) {
        CAPTURE(known);
        if (known)
            make_known(t.db);
        try {
            t.db.transact({.attempts = 1, .deadline = 30ms}, [](transaction& tx) {
                tx.pipeline([](pipeline& p) {
                    (void)p.insert(Nap{1, "x"});
                    (void)p.insert(Nap{-1, "slow"});
                    p.commit();
                });
            });
            FAIL("it was done");
        } catch (const deadline_exceeded& late) {
            CHECK_FALSE(late.outcome_unknown());
        }
        CHECK(t.db.is_open());
        CHECK(t.db.transact([](transaction& tx) { return repository<Nap>{tx}.count(); }) == 0);
    }
}

TEST_CASE("a fence that has to wait misses the deadline like any statement, whatever comes behind it") {
    database_fixture t;
    t.db.transact([](transaction& tx) { install(tx); });
    t.run(slow_things);
    pool pooled{t.database.url(), {.max_size = 1}};
    election job{pooled, "job", {.lease = 30s, .poll = 50ms}};
    const auto leadership = job.campaign({});
    const std::vector<path> behind{
        {"raw SQL", [](transaction& tx) { tx.execute("select 1"); }},
        {"SQL with parameters", [](transaction& tx) { tx.execute("select $1", 1); }},
        {"a repository's statement", [](transaction& tx) { repository<Nap>{tx}.insert({1, "x"}); }},
        {"a pipeline", [](transaction& tx) { tx.pipeline([](pipeline& p) { (void)p.insert(Nap{1, "x"}); }); }},
        {"a stream", [](transaction& tx) { read(repository<Nap>{tx}.every().stream()); }},
        {"a COPY OUT", [](transaction& tx) { read(repository<Nap>{tx}.copy_out()); }},
        {"a COPY IN", [](transaction& tx) { repository<Nap>{tx}.copy_in(std::vector<Nap>{{1, "x"}}); }},
        {"a nested transact",
         [](transaction& tx) { tx.transact([](transaction& inner) { repository<Nap>{inner}.insert({1, "x"}); }); }},
    };
    for (const bool keep_id : {false, true})
        for (const path& way : behind) {
            CAPTURE(keep_id, way.name);
            const int pid = pooled.acquire().backend_pid();
            {
                transaction next_leader{t.db}; // as its claim does
                next_leader.execute("select pg_advisory_xact_lock(tenon.election_key(region, name, 1))"
                                    " from tenon.election_term");
                CHECK_THROWS_AS(leadership->transact({.attempts = 1, .deadline = 40ms, .keep_id = keep_id}, way.run),
                                deadline_exceeded);
            }
            CHECK(pooled.acquire().backend_pid() == pid);
            CHECK_NOTHROW(leadership->transact(way.run));
            t.run("truncate nap");
        }
}
