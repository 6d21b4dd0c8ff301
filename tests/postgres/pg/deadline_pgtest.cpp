#include <tenon/pg/deadline.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

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
