// Many rows by way of a staging table: upsert_many and merge.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <tenon/pg/savepoint.hpp>
#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace staging_pgtest {

struct Item {
    std::int64_t id{};
    std::string name;
    std::optional<std::int32_t> stock{};

    static constexpr auto table = tenon::table("item", tenon::key<&Item::id>);
    friend bool operator==(const Item&, const Item&) = default;
};

struct Account {
    std::int64_t id{};
    std::string email;
    std::string name;
    std::int32_t changes{};

    static constexpr auto table = tenon::table("account", tenon::key<&Account::id>, tenon::generated<&Account::id>,
                                               tenon::version<&Account::changes>);
};

struct items : database_fixture {
    transaction tx{db};
    repository<Item> rows{tx};

    items() {
        tx.execute("create table item (id bigint primary key, name text not null, stock integer, writes int default 0);"
                   "create function count_write() returns trigger language plpgsql as"
                   " 'begin new.writes = old.writes + 1; return new; end';"
                   "create trigger writes before update on item for each row execute function count_write()");
        rows.insert_many(std::vector<Item>{{1, "one", 1}, {2, "two", 2}, {3, "three", std::nullopt}});
    }
};

} // namespace staging_pgtest

using namespace staging_pgtest;

TEST_CASE("upsert_many stores what is new and overwrites what is there") {
    items t;
    CHECK(t.rows.upsert_many(std::vector<Item>{{4, "four", 4}, {2, "deux", std::nullopt}}) == 2);
    CHECK(t.rows.order_by(col<&Item::id>).all() ==
          std::vector<Item>{{1, "one", 1}, {2, "deux", std::nullopt}, {3, "three", std::nullopt}, {4, "four", 4}});
}

TEST_CASE("upsert_many serves again in the same transaction, and with thousands of rows") {
    items t;
    for (int round = 0; round < 3; ++round) {
        std::vector<Item> many;
        for (std::int64_t i = 0; i < 5000; ++i)
            many.push_back({i, "item", round});
        CHECK(t.rows.upsert_many(many) == 5000);
    }
    CHECK(t.rows.where(col<&Item::stock> == 2).count() == 5000);
}

TEST_CASE("upsert_many by other unique columns counts versions up") {
    database_fixture t;
    transaction tx{t.db};
    tx.execute("create table account (id bigint generated always as identity primary key, email text not null unique,"
               " name text not null, changes integer not null)");
    repository<Account> rows{tx};
    rows.insert({.email = "a@example.org", .name = "A"});
    CHECK(rows.upsert_many<&Account::email>(std::vector<Account>{{.email = "a@example.org", .name = "Ada"},
                                                                 {.email = "b@example.org", .name = "Bea"}}) == 2);
    const auto ada = rows.where(col<&Account::email> == "a@example.org").one();
    CHECK(ada.name == "Ada");
    CHECK(ada.changes == 1);
}

TEST_CASE("two rows with one key are refused by upsert_many, and nothing is stored") {
    items t;
    try {
        savepoint before{t.tx};
        t.rows.upsert_many(std::vector<Item>{{9, "nine"}, {9, "neuf"}});
        FAIL("stored");
    } catch (const error& refused) {
        CHECK(refused.sqlstate() == "21000");
    }
    CHECK_FALSE(t.rows.find(std::int64_t{9}));
    CHECK(t.rows.upsert_many(std::vector<Item>{{9, "nine"}}) == 1); // the staging table is gone with the savepoint
}

TEST_CASE("merge stores what is new, changes what differs, and leaves the rest untouched") {
    items t;
    CHECK(t.rows.merge(std::vector<Item>{{1, "one", 1}, {2, "deux", 2}, {3, "three", std::nullopt}, {4, "four"}}) == 2);
    CHECK(t.tx.execute("select from item where writes = 1 and id = 2") == 1);
    CHECK(t.tx.execute("select from item where writes = 0") == 3);
    CHECK(t.rows.merge(std::vector<Item>{}) == 0);
}

TEST_CASE("nothing to upsert is no error") {
    items t;
    CHECK(t.rows.upsert_many(std::vector<Item>{}) == 0);
    CHECK(t.rows.count() == 3);
}
