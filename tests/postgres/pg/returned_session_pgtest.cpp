// What the next borrower finds of the one before him: nothing.
#include <cstdint>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <tenon/pg/pool.hpp>
#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/testing/gate.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace returned_session_pgtest {

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("row", tenon::key<&Row::id>);
};

struct pooled : database_fixture {
    testing::gate gate{database.url()};
    pool one{gate.url(), {.max_size = 1}};

    pooled() { run("create table row (id bigint primary key, text text not null)"); }

    void borrow(const std::function<void(transaction&)>& body) { one.transact({.attempts = 1}, body); }
    std::vector<std::string> asked(const char* sql) {
        std::vector<std::string> answers;
        borrow([&](transaction& tx) { answers = query<std::string>{sql}.all(tx); });
        return answers;
    }
};

using texts = std::vector<std::string>;

} // namespace returned_session_pgtest

using namespace returned_session_pgtest;

TEST_CASE("what raw SQL sets or makes in a session is gone for the next borrower") {
    pooled t;
    struct litter {
        const char* name;
        const char* left;
        const char* found; // by the next one: no row
    };
    const std::vector<litter> kinds{
        {"a temporary table", "create temp table row (id bigint primary key, text text not null)",
         "select relname::text from pg_class where relpersistence = 't' and relkind = 'r'"},
        {"a temporary view", "create temp view own as select 1 as n",
         "select relname::text from pg_class where relpersistence = 't'"},
        {"a temporary function", "create function pg_temp.own() returns int language sql as 'select 1'",
         "select proname::text from pg_proc where pronamespace = pg_my_temp_schema()"},
        {"a cursor WITH HOLD", "declare own cursor with hold for select 'secret of A'::text",
         "select name from pg_cursors where is_holdable"},
        {"a prepared statement", "prepare own as select 1", "select name from pg_prepared_statements where from_sql"},
        {"a prepared statement whose name has to be quoted", "prepare \"tenon_1; drop table row\" as select 1",
         "select name from pg_prepared_statements where from_sql"},
        {"a prepared statement named almost like tenon's",
         "prepare tenon_1x as select 1; prepare x_tenon_1 as select 2",
         "select name from pg_prepared_statements where from_sql"},
        {"many prepared statements",
         "do $$ begin for i in 1..500 loop execute format('prepare own_%s as select %s', i, i); end loop; end $$",
         "select name from pg_prepared_statements where from_sql"},
        {"a setting", "set work_mem = '5MB'",
         "select name from pg_settings where source = 'session' and name = 'work_mem'"},
        {"a setting by a function", "select set_config('work_mem', '5MB', false)",
         "select name from pg_settings where source = 'session' and name = 'work_mem'"},
        {"a setting of one's own", "select set_config('app.tenant', 'A', false)",
         "select current_setting('app.tenant', true) where coalesce(current_setting('app.tenant', true), '') <> ''"},
        {"a statement_timeout", "set statement_timeout = '1h'",
         "select current_setting('statement_timeout') where current_setting('statement_timeout') <> '0'"},
        {"a default for transactions", "set session characteristics as transaction read only",
         "select 'read only' where current_setting('default_transaction_read_only') = 'on'"},
        {"a search_path", "set search_path = pg_temp",
         "select 'other' where current_setting('search_path') = 'pg_temp'"},
        {"a role", "set role pg_monitor", "select current_user::text where current_user <> session_user"},
        {"a session's authorization", "set session authorization pg_monitor",
         "select session_user::text where session_user = 'pg_monitor'"},
        {"LISTEN", "listen own", "select pg_listening_channels()"},
        {"an advisory lock", "select pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(2, 3)",
         "select objid::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"},
    };
    const int pid = t.one.acquire().backend_pid();
    for (const litter& kind : kinds) {
        CAPTURE(kind.name);
        CHECK_NOTHROW(t.borrow([&](transaction& tx) { tx.execute(kind.left); }));
        CHECK(t.asked(kind.found) == texts{});
        CHECK_NOTHROW(t.borrow([](transaction& tx) { (void)repository<Row>{tx}.count(); }));
    }
    CHECK(t.one.acquire().backend_pid() == pid); // cleared, and not thrown away
}

TEST_CASE("a sequence's last value is none of the next borrower's") {
    pooled t;
    t.run("create sequence numbers");
    t.borrow([](transaction& tx) { tx.execute("select nextval('numbers')"); });
    for (const char* sql : {"select lastval()", "select currval('numbers')"})
        try {
            t.borrow([&](transaction& tx) { tx.execute(sql); });
            FAIL(sql);
        } catch (const error& none) {
            CHECK(none.sqlstate() == "55000");
        }
}

TEST_CASE("what a transaction that failed, or was given up by its scope, has left is gone, too") {
    pooled t;
    for (const bool fails : {false, true}) {
        connection one = t.one.acquire();
        transaction tx{one};
        tx.execute("select pg_advisory_lock(1)");
        tx.execute("listen own");
        if (fails)
            CHECK_THROWS_AS(tx.execute("select 1/0"), error);
    }
    CHECK(t.asked("select objid::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()") ==
          texts{});
    CHECK(t.asked("select pg_listening_channels()") == texts{});
}

TEST_CASE("an earlier borrower's temporary table takes nobody's rows") {
    pooled t;
    t.borrow([](transaction& tx) { tx.execute("create temp table row (id bigint primary key, text text not null)"); });
    t.borrow([](transaction& tx) { repository<Row>{tx}.insert({1, "precious"}); });
    transaction other{t.db};
    CHECK(repository<Row>{other}.find(std::int64_t{1}));
}

TEST_CASE("what libpqxx prepares and sets is gone for the next borrower") {
    pooled t;
    for (int i = 0; i < 2; ++i) // the second time it would be there already
        CHECK_NOTHROW(t.borrow([](transaction& tx) {
            auto& other = as_pqxx(tx);
            other.conn().prepare("own", "select $1::int + 1");
            CHECK(other.exec(pqxx::prepped{"own"}, 1).one_field().as<int>() == 2);
            other.exec("set work_mem = '5MB'");
            other.exec("select pg_advisory_lock(1)");
        }));
    CHECK(t.asked("select name from pg_prepared_statements where name = 'own'") == texts{});
    CHECK(t.asked("select name from pg_settings where source = 'session' and name = 'work_mem'") == texts{});
    CHECK(t.asked("select objid::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()") ==
          texts{});
}

TEST_CASE("tenon's own statements stay prepared when a session is cleared") {
    pooled t;
    const auto insert = [](std::int64_t id) {
        return [id](transaction& tx) { repository<Row>{tx}.insert({id, "x"}); };
    };
    t.borrow(insert(1));
    t.gate.reset_counters();
    t.borrow(insert(2));
    const auto known = t.gate.round_trips();
    CHECK(known == 2); // with BEGIN, and COMMIT
    t.borrow([](transaction& tx) { tx.execute("prepare own as select 1; set work_mem = '5MB'"); });
    t.borrow([](transaction& tx) { (void)as_pqxx(tx).exec("select 1"); });
    t.gate.reset_counters();
    t.borrow(insert(3));
    CHECK(t.gate.round_trips() == known);
}

TEST_CASE("who only uses repositories pays nothing for the next borrower, raw SQL one round trip") {
    pooled t;
    const auto insert = [](std::int64_t id) {
        return [id](transaction& tx) { repository<Row>{tx}.insert({id, "x"}); };
    };
    t.borrow(insert(1));
    t.borrow([](transaction& tx) { tx.execute("select 1"); });
    t.gate.reset_counters();
    t.borrow(insert(2));
    CHECK(t.gate.round_trips() == 2);
    t.gate.reset_counters();
    t.borrow([](transaction& tx) { tx.execute("select 1"); });
    (void)t.one.acquire(); // it has come back
    CHECK(t.gate.round_trips() == 3);
}

TEST_CASE("an action behind the commit may use a pool of one") {
    pooled t;
    std::vector<std::string> done;
    t.borrow([&](transaction& tx) {
        repository<Row>{tx}.insert({1, "x"});
        tx.on_commit([&] {
            t.one.transact([&](transaction& next) {
                if (repository<Row>{next}.find(std::int64_t{1}))
                    done.emplace_back("first");
                next.on_commit([&] { // and so on
                    t.one.transact([&](transaction& last) { (void)repository<Row>{last}.count(); });
                    done.emplace_back("inner");
                });
            });
        });
        tx.on_commit([&] {
            CHECK(tx.id() == 0);
            CHECK_FALSE(tx.is_open());
            done.emplace_back("second");
        });
    });
    CHECK(done == texts{"first", "inner", "second"});
    CHECK(t.one.status().active == 0);
}

TEST_CASE("an action behind a pipeline's commit may use a pool of one, and tells the id of what was committed") {
    pooled t;
    std::uint64_t id = 0;
    t.one.transact({.keep_id = true}, [&](transaction& tx) {
        tx.on_commit([&] {
            t.one.transact([](transaction& next) { (void)repository<Row>{next}.count(); });
            id = tx.id();
        });
        tx.pipeline([](pipeline& p) {
            (void)p.insert(Row{1, "x"});
            p.commit();
        });
    });
    CHECK(id != 0);
    transaction tx{t.db};
    CHECK(commit_status(tx, id) == commit_state::committed);
}

TEST_CASE("a transaction whose lease has gone back can do nothing more") {
    pooled t;
    transaction tx{t.one};
    repository<Row>{tx}.insert({1, "x"});
    tx.commit();
    const connection other = t.one.acquire(); // the session is somebody else's
    CHECK_THROWS_AS(tx.execute("select 1"), usage_error);
    CHECK_THROWS_AS(repository<Row>{tx}.count(), usage_error);
    CHECK_THROWS_AS(tx.pipeline([](pipeline&) {}), usage_error);
    CHECK_THROWS_AS(savepoint{tx}, usage_error);
    CHECK_THROWS_AS(as_pqxx(tx), usage_error);
    CHECK_THROWS_AS(tx.commit(), usage_error);
    CHECK_THROWS_AS(deadline(tx, std::chrono::seconds(1)), usage_error);
    CHECK_NOTHROW(tx.rollback());
}

TEST_CASE("the server never holds more prepared statements than the cache and what is to be dropped") {
    const std::size_t limit = GENERATE(1U, 2U, 8U);
    CAPTURE(limit);
    database_fixture t;
    connection one{t.database.url(), {.statement_cache = limit}};
    const auto text = [](int i) { return "select " + std::to_string(i) + " where $1 > 0"; };
    static constexpr query<std::int64_t> held{"select count(*) from pg_prepared_statements"};
    for (int round = 0; round < 25; ++round) {
        for (int i = 0; i < 10; ++i)
            one.transact([&](transaction& tx) { tx.execute(text(i), 1); });
        const auto failing = [&](const std::function<void(transaction&)>& fails) {
            transaction tx{one};
            try {
                fails(tx);
            } catch (const error&) {
            }
            for (int i = 0; i < 4; ++i) // in a transaction that has failed
                CHECK_THROWS_AS(tx.execute(text(100 + i), 1), error);
        };
        failing([](transaction& tx) { tx.execute("select 1/0"); });
        failing([](transaction& tx) { tx.execute("select $1 from nowhere", 1); });
        one.transact([&](transaction& tx) { // statements that do not pass, each behind a savepoint
            for (int i = 0; i < 4; ++i)
                CHECK_THROWS_AS(tx.transact([&](transaction& part) {
                    const std::string sql = "select " + std::to_string(i);
                    const statement wrong{
                        .sql = sql, .operation = "query", .results = shapes_of<std::string>, .hash = hash_of(sql)};
                    parameter_list<0> none;
                    (void)part.execute(wrong, none);
                }),
                                schema_mismatch);
        });
    }
    const std::int64_t count = one.transact([](transaction& tx) { return held.one(tx); });
    CHECK(count <= static_cast<std::int64_t>(limit));
}
