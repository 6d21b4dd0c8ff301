#include <tenon/repository/repository.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace {

struct User {
    tenon::id<User> id{};
    std::string email;
    std::string name;
    std::optional<std::string> bio{};
    tenon::timestamp created_at{};

    static constexpr auto table =
        tenon::table("users", tenon::key<&User::id>, tenon::generated<&User::id, &User::created_at>);

    friend bool operator==(const User&, const User&) = default;
};

struct Member {
    std::int64_t tenant_id{};
    std::string login;
    std::int32_t rank{};

    static constexpr auto table = tenon::table("app.member", tenon::key<&Member::tenant_id, &Member::login>);

    friend bool operator==(const Member&, const Member&) = default;
};

struct Stamp {
    tenon::id<Stamp> id{};
    tenon::timestamp at{};

    static constexpr auto table =
        tenon::table("stamp", tenon::key<&Stamp::id>, tenon::generated<&Stamp::id, &Stamp::at>);
};

struct community : database_fixture {
    community() {
        tx.execute(R"(
            create table users (
                id bigint generated always as identity primary key,
                email text not null constraint users_email_key unique,
                name text not null,
                bio text,
                created_at timestamptz not null default now());
            create schema app;
            create table app.member (tenant_id bigint, login text, rank int not null, primary key (tenant_id, login));
            create table stamp (id bigint generated always as identity primary key, at timestamptz not null default now()))");
    }
    transaction tx{db};
    repository<User> users{tx};
    repository<Member> members{tx};
};

} // namespace

TEST_CASE("insert returns the row as the server stored it") {
    community t;
    const User ada = t.users.insert({.email = "ada@example.org", .name = "Ada"});
    CHECK(ada.id.value == 1);
    CHECK(ada.created_at > timestamp{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}});
    CHECK_FALSE(ada.bio);
    CHECK(t.users.get(ada.id) == ada);
}

TEST_CASE("find gives nothing and get throws where there is no row") {
    community t;
    CHECK_FALSE(t.users.find(id<User>{404}));
    try {
        (void)t.users.get(id<User>{404});
        FAIL("found");
    } catch (const row_not_found& missing) {
        CHECK_THAT(missing.what(), ContainsSubstring("users") && ContainsSubstring("record User"));
        CHECK(missing.table() == "users");
    }
}

TEST_CASE("update writes the whole record, or chosen columns, and returns the stored row") {
    community t;
    User ada = t.users.insert({.email = "ada@example.org", .name = "Ada"});
    ada.name = "Ada Lovelace";
    CHECK(t.users.update(ada) == ada);

    const User with_bio = t.users.update(ada.id, col<&User::bio>, "First of her name");
    CHECK(with_bio.bio == "First of her name");
    const User both = t.users.update(ada.id, col<&User::bio> = std::nullopt, col<&User::email> = "a@b.c");
    CHECK_FALSE(both.bio);
    CHECK(both.email == "a@b.c");
    CHECK(both.name == "Ada Lovelace");
}

TEST_CASE("update of a row that is not there throws") {
    community t;
    CHECK_THROWS_AS(t.users.update({.id = {404}, .email = "x", .name = "y"}), row_not_found);
    CHECK_THROWS_AS(t.users.update(id<User>{404}, col<&User::name>, "z"), row_not_found);
    CHECK_THROWS_AS(t.members.update({.tenant_id = 1, .login = "x", .rank = 1}), row_not_found);
}

TEST_CASE("upsert inserts, then updates the row that is in the way") {
    community t;
    const User first = t.users.upsert<&User::email>({.email = "ada@example.org", .name = "Ada"});
    const User second = t.users.upsert<&User::email>({.email = "ada@example.org", .name = "Countess"});
    CHECK(second.id == first.id);
    CHECK(t.users.get(first.id).name == "Countess");
    CHECK(t.users.count() == 1);

    CHECK(t.members.upsert({.tenant_id = 1, .login = "ada", .rank = 1}).rank == 1);
    CHECK(t.members.upsert({.tenant_id = 1, .login = "ada", .rank = 2}).rank == 2);
    CHECK(t.members.count() == 1);
}

TEST_CASE("erase says whether there was a row") {
    community t;
    const User ada = t.users.insert({.email = "ada@example.org", .name = "Ada"});
    CHECK(t.users.erase(ada.id));
    CHECK_FALSE(t.users.erase(ada.id));
}

TEST_CASE("a key of several fields, in a schema") {
    community t;
    const Member ada = t.members.insert({.tenant_id = 7, .login = "ada", .rank = 3});
    CHECK(t.members.find(7, "ada") == ada);
    CHECK_FALSE(t.members.find(8, "ada"));
    CHECK(t.members.update(std::tuple{std::int64_t{7}, std::string("ada")}, col<&Member::rank> = 9).rank == 9);
    CHECK(t.members.update({.tenant_id = 7, .login = "ada", .rank = 10}).rank == 10);
    CHECK(t.members.erase(7, "ada"));
}

TEST_CASE("a record of nothing but generated columns can be inserted") {
    community t;
    CHECK(repository<Stamp>{t.tx}.insert({}).id.value == 1);
    CHECK(repository<Stamp>{t.tx}.insert_many(std::vector<Stamp>(3)).size() == 3);
}

TEST_CASE("insert_many stores all rows and returns their keys in order") {
    community t;
    std::vector<Member> rows;
    for (int i = 0; i < 2501; ++i)
        rows.push_back({.tenant_id = i % 3, .login = "user " + std::to_string(i), .rank = i});
    const auto keys = t.members.insert_many(rows);
    REQUIRE(keys.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); i += 500)
        CHECK(t.members.find(std::get<0>(keys[i]), std::get<1>(keys[i])) == rows[i]);

    std::vector<User> people(10, User{.email = "", .name = "x", .bio = std::nullopt});
    for (std::size_t i = 0; i < people.size(); ++i) {
        people[i].email = std::to_string(i);
        if (i % 2 == 0)
            people[i].bio = "even";
    }
    const auto ids = t.users.insert_many(people);
    REQUIRE(ids.size() == 10);
    CHECK(t.users.get(ids[4]).email == "4");
    CHECK(t.users.get(ids[4]).bio == "even");
    CHECK_FALSE(t.users.get(ids[5]).bio);
    CHECK(t.users.insert_many(std::vector<User>{}).empty());
}

TEST_CASE("a table of one's own is created from its record, once") {
    database_fixture t;
    transaction tx(t.db);
    create_table<User>(tx);
    create_table<User>(tx);
    const User ada = repository<User>{tx}.insert({.email = "a", .name = "b"});
    CHECK(ada.id.value == 1);
    CHECK(ada.created_at > timestamp{});
    CHECK_THROWS_AS(tx.execute("insert into users (email) values ('x')"), not_null_violation);
}

namespace {

struct Page {
    std::int64_t id{};
    std::string text;
    std::int32_t revision{};

    static constexpr auto table = tenon::table("page", tenon::key<&Page::id>, tenon::version<&Page::revision>);
};

} // namespace

TEST_CASE("a version column refuses the second of two writers who read the same row") {
    database_fixture t;
    transaction tx(t.db);
    create_table<Page>(tx);
    repository<Page> pages{tx};
    const Page read = pages.insert({.id = 1, .text = "a"});
    const Page first = pages.update({.id = 1, .text = "b", .revision = read.revision});
    CHECK(first.revision == 1);
    try {
        pages.update({.id = 1, .text = "c", .revision = read.revision});
        FAIL("overwrote");
    } catch (const stale_record& stale) {
        CHECK_THAT(stale.what(), ContainsSubstring("page (record Page)") && ContainsSubstring("read it again"));
    }
    CHECK(pages.get(1).text == "b");
    CHECK(pages.update(1, col<&Page::text> = "d").revision == 2);
    CHECK(pages.upsert({.id = 1, .text = "e"}).revision == 3);
}
