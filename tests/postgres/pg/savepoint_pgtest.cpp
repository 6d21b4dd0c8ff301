#include <tenon/pg/savepoint.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace {

struct numbers : database_fixture {
    numbers() { run("create table number (n int primary key)"); }
    static std::int64_t count(transaction& tx) { return static_cast<std::int64_t>(tx.execute("select * from number")); }
};

} // namespace

TEST_CASE("a released savepoint keeps its rows, a left one loses them") {
    numbers t;
    transaction tx(t.db);
    {
        savepoint kept(tx);
        tx.execute("insert into number values (1)");
        kept.release();
    }
    {
        savepoint lost(tx);
        tx.execute("insert into number values (2)");
    }
    CHECK(numbers::count(tx) == 1);
}

TEST_CASE("a failure inside a savepoint does not fail the transaction") {
    numbers t;
    transaction tx(t.db);
    tx.execute("insert into number values (1)");
    try {
        savepoint attempt(tx);
        tx.execute("insert into number values (1)");
        FAIL("stored twice");
    } catch (const unique_violation&) {
    }
    tx.execute("insert into number values (2)");
    tx.commit();

    transaction after(t.db);
    CHECK(numbers::count(after) == 2);
}

TEST_CASE("savepoints nest") {
    numbers t;
    transaction tx(t.db);
    savepoint outer(tx);
    tx.execute("insert into number values (1)");
    {
        savepoint inner(tx);
        tx.execute("insert into number values (2)");
        inner.rollback();
    }
    outer.release();
    CHECK(numbers::count(tx) == 1);
}

TEST_CASE("a savepoint ends once, and cannot be released after a failure") {
    numbers t;
    transaction tx(t.db);
    savepoint one(tx);
    one.release();
    CHECK_THROWS_AS(one.release(), usage_error);
    CHECK_THROWS_AS(one.rollback(), usage_error);

    savepoint failed(tx);
    CHECK_THROWS(tx.execute("insert into number values (1), (1)"));
    CHECK_THROWS_AS(failed.release(), failed_transaction);
    failed.rollback();
    CHECK(numbers::count(tx) == 0);
}

TEST_CASE("a savepoint outliving its transaction does no harm") {
    numbers t;
    transaction tx(t.db);
    {
        savepoint open(tx);
        tx.execute("insert into number values (1)");
        tx.commit();
    }
    transaction after(t.db);
    CHECK(numbers::count(after) == 1);
}
