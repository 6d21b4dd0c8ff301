// Settings, roles and tenants: local to a transaction, and never carried over to the next borrower.
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pool.hpp>
#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace tenancy_pgtest {

struct Item {
    std::int64_t id{};

    static constexpr auto table = tenon::table("triggered", tenon::key<&Item::id>);
};

} // namespace tenancy_pgtest

namespace {

constexpr query<std::string> who_and_what{
    "select concat_ws('|', current_user, session_user, current_setting('statement_timeout'),"
    " nullif(current_setting('tenon.tenant', true), ''), current_setting('search_path'))"};

/// A table of two tenants with a policy, an owner that it binds, a role that only uses it and one that passes it by.
struct tenants : database_fixture {
    std::string name = "t" + std::to_string(db.backend_pid());

    tenants() {
        run("create role " + name + "_user; create role " + name +
            "_above bypassrls;"
            "create table item (tenant text not null, name text not null);"
            "insert into item values ('a', 'ant'), ('b', 'bee'), ('', 'nobody');"
            "alter table item enable row level security; alter table item force row level security;"
            "create policy own on item using (tenant = nullif(current_setting('tenon.tenant', true), ''));"
            "grant all on item to " +
            name + "_user, " + name + "_above");
    }
    ~tenants() {
        run("drop owned by " + name + "_user, " + name + "_above; drop role " + name + "_user, " + name + "_above");
    }
};

} // namespace

TEST_CASE("a tenant sees its own rows only, and no tenant none") {
    tenants t;
    transaction tx{t.db};
    tx.set_local("role", t.name + "_user");
    CHECK(tx.execute("select from item") == 0);
    tx.act_as_tenant("a");
    CHECK(tx.execute("select from item where name = 'ant'") == 1);
    CHECK(tx.execute("select from item") == 1);
    tx.act_as_tenant("b");
    CHECK(tx.execute("select from item where name = 'bee'") == 1);
    tx.act_as_tenant("");
    CHECK(tx.execute("select from item") == 0);
}

TEST_CASE("a tenant ends with its transaction, committed or not") {
    tenants t;
    const bool commits = GENERATE(true, false);
    {
        transaction tx{t.db};
        tx.set_local("role", t.name + "_user");
        tx.act_as_tenant("a");
        if (commits)
            tx.commit();
    }
    transaction tx{t.db};
    tx.set_local("role", t.name + "_user");
    CHECK(tx.execute("select from item") == 0);
}

TEST_CASE("roles that pass row-level security by are refused as a tenant") {
    tenants t;
    {
        transaction tx{t.db}; // the superuser of the test cluster
        CHECK_THROWS_AS(tx.act_as_tenant("a"), tenant_not_isolated);
    }
    transaction tx{t.db};
    tx.set_local("role", t.name + "_above");
    CHECK_THROWS_WITH(tx.act_as_tenant("a"), ContainsSubstring(t.name + "_above") && ContainsSubstring("BYPASSRLS"));
}

TEST_CASE("an owner whom row-level security does not bind is refused as a tenant, and the table is named") {
    tenants t;
    t.run("grant create on schema public to " + t.name + "_user; set role " + t.name +
          "_user;"
          "create table own_item (tenant text); alter table own_item enable row level security; reset role");
    transaction tx{t.db};
    tx.set_local("role", t.name + "_user");
    CHECK_THROWS_WITH(tx.act_as_tenant("a"), ContainsSubstring("own_item") && ContainsSubstring("force row level"));
}

TEST_CASE("set_local ends with its transaction and takes any value") {
    database_fixture t;
    {
        transaction tx{t.db};
        tx.set_local("statement_timeout", "1234ms");
        tx.set_local("tenon.note", "it's a \"value\"; drop table x");
        CHECK(tx.execute("select where current_setting('tenon.note') = 'it''s a \"value\"; drop table x'"
                         " and current_setting('statement_timeout') = '1234ms'") == 1);
        tx.commit();
    }
    transaction tx{t.db};
    CHECK(tx.execute("select where current_setting('statement_timeout') = '0'") == 1);
}

TEST_CASE("a connection that comes back carries no tenant, role or setting over, whichever way it was set") {
    tenants t;
    pool db{t.database.url(), {.max_size = 1}};
    const std::string before = db.transact([](transaction& tx) { return who_and_what.one(tx); });
    const auto way = GENERATE(Catch::Generators::range(0, 10));
    CAPTURE(way);
    {
        connection one = db.acquire();
        transaction tx{one};
        switch (way) {
        case 0:
            CHECK_THROWS_AS(tx.act_as_tenant("a"), tenant_not_isolated); // after it was set
            break;
        case 1:
            tx.set_local("tenon.tenant", "a");
            break;
        case 2:
            tx.execute("set tenon.tenant = 'a'; set statement_timeout = '9s'");
            break;
        case 3:
            tx.execute("set local role " + t.name + "_user; set search_path = pg_catalog");
            break;
        case 4:
            tx.execute("set role " + t.name + "_user");
            break;
        case 5:
            tx.execute("set session authorization " + t.name + "_user");
            break;
        case 6:
            tx.execute("select set_config('tenon.tenant', $1, false)", std::string("a"));
            break;
        case 7:
            (void)query<std::string>{"select set_config('statement_timeout', '9s', false)"}.one(tx);
            break;
        case 8:
            as_pqxx(tx).exec("set role " + t.name + "_user; set tenon.tenant = 'a'");
            break;
        default:
            tx.execute("create function sneak() returns void language sql as"
                       " $$ select set_config('tenon.tenant', 'a', false) $$");
            tx.execute("select sneak()");
        }
        tx.commit();
    }
    const std::string after = db.transact([](transaction& tx) { return who_and_what.one(tx); });
    CHECK(after == before);
}

TEST_CASE("what a trigger sets behind a repository's statement is not carried over with reset_on_return::always") {
    database_fixture t;
    t.run("create table triggered (id bigint primary key);"
          "create function sneak() returns trigger language plpgsql as"
          " $$ begin perform set_config('tenon.tenant', 'a', false); return new; end $$;"
          "create trigger sneaks before insert on triggered for each row execute function sneak()");
    pool db{t.database.url(), {.max_size = 1, .reset_on_return = pool_options::reset::always}};
    const std::string before = db.transact([](transaction& tx) { return who_and_what.one(tx); });
    const int pid = db.acquire().backend_pid();
    db.transact([](transaction& tx) {
        repository<tenancy_pgtest::Item>{tx}.insert({1});
        CHECK(who_and_what.one(tx).find("|a|") != std::string::npos);
    });
    CHECK(db.acquire().backend_pid() == pid);
    CHECK(db.transact([](transaction& tx) { return who_and_what.one(tx); }) == before);
}
