// Prepared statements: kept, bounded, recovered, or not used at all.
#include <tenon/pg/statement.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace {

struct Thing {
    std::int64_t id{};
    std::int32_t n{};
    static constexpr auto table = tenon::table("thing", tenon::key<&Thing::id>);
};

struct things {
    testing::test_database database{};
    connection db;

    explicit things(const connection_options& options = {}) : db(database.url(), options) {
        db.transact([](transaction& tx) {
            create_table<Thing>(tx);
            repository<Thing>{tx}.insert({1, 10});
        });
    }
    std::int32_t read() {
        return db.transact([](transaction& tx) { return repository<Thing>{tx}.get(1).n; });
    }
    std::int64_t prepared() {
        return db.transact([](transaction& tx) {
            return static_cast<std::int64_t>(
                tx.execute("select * from pg_prepared_statements where name like 'tenon%'"));
        });
    }
};

} // namespace

TEST_CASE("a statement is prepared once per session") {
    things t;
    const auto before = t.prepared();
    for (int i = 0; i < 5; ++i)
        CHECK(t.read() == 10);
    CHECK(t.prepared() == before + 1);
}

TEST_CASE("the cache is bounded, on the server too") {
    things t({.statement_cache = 3});
    for (int i = 0; i < 20; ++i)
        t.db.transact([i](transaction& tx) { tx.execute("select " + std::to_string(i) + " + $1", 1); });
    CHECK(t.prepared() <= 3);
    CHECK(t.read() == 10);
}

TEST_CASE("nothing is prepared when the cache is off, and types are still checked") {
    things t({.statement_cache = 0});
    CHECK(t.read() == 10);
    CHECK(t.read() == 10);
    CHECK(t.prepared() == 0);
    t.db.transact([](transaction& tx) {
        CHECK_THROWS_AS(tx.execute("select $1::int", std::string("x")), schema_mismatch);
        tx.pipeline([](pipeline& p) { (void)p.find<Thing>(1); });
    });
}

TEST_CASE("the first statement of a transaction survives DEALLOCATE ALL and DISCARD ALL") {
    things t;
    CHECK(t.read() == 10);
    t.db.transact([](transaction& tx) { tx.execute("deallocate all"); });
    CHECK(t.read() == 10);
}

TEST_CASE("DEALLOCATE ALL by tx.execute is noticed: a later statement of another transaction works, too") {
    things t;
    CHECK(t.read() == 10);
    t.db.transact([](transaction& tx) { tx.execute("deallocate all"); });
    t.db.transact([](transaction& tx) {
        tx.execute("update thing set n = n + 1");
        CHECK(repository<Thing>{tx}.get(1).n == 11);
    });
}

TEST_CASE("a later statement fails once, since others were run before it, and the next transaction works") {
    things t;
    CHECK(t.read() == 10);
    t.db.transact([](transaction& tx) { tx.execute("do $$ begin execute 'deallocate all'; end $$"); }); // unseen
    CHECK_THROWS_AS(t.db.transact([](transaction& tx) {
        tx.execute("update thing set n = n + 1");
        (void)repository<Thing>{tx}.get(1);
    }),
                    error);
    CHECK(t.read() == 10); // rolled back, and read again
}

TEST_CASE("a column that changes its type is read anew: cached plan must not change result type") {
    things t;
    CHECK(t.read() == 10);
    t.db.transact([](transaction& tx) { tx.execute("alter table thing alter n type smallint"); });
    CHECK(t.read() == 10);
    t.db.transact([](transaction& tx) { tx.execute("alter table thing alter n type text"); });
    CHECK_THROWS_AS(t.read(), schema_mismatch);
}
