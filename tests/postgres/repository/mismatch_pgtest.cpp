// Bad input and tables that do not fit: every error names record, field, column and remedy.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Person {
    tenon::id<Person> id{};
    std::string email;
    std::int32_t age{};
    std::optional<std::int64_t> boss{};

    static constexpr auto table = tenon::table("person", tenon::key<&Person::id>);
};

constexpr const char* fitting =
    "create table person (id bigint primary key, email text not null constraint person_email_key unique,"
    " age int not null constraint grown_up check (age >= 18), boss bigint constraint has_boss references person)";

struct Camel {
    std::int64_t id{};
    std::string userId;

    static constexpr auto table = tenon::table("Camel", tenon::key<&Camel::id>);
};

/// What was thrown, for a look at message and properties.
template <class Error, class Action>
Error caught(Action action) {
    try {
        action();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    throw std::logic_error("unreachable");
}

} // namespace

TEST_CASE("a missing table is named with its record and the remedy") {
    database_fixture t;
    transaction tx(t.db);
    const auto error = caught<schema_mismatch>([&] { (void)repository<Person>{tx}.all(); });
    CHECK_THAT(error.what(), ContainsSubstring("no table person") && ContainsSubstring("record Person") &&
                                 ContainsSubstring("tenon::create_table"));
    CHECK(error.sqlstate() == "42P01");
    CHECK(error.table() == "person");
    CHECK(tx.execute("select 1") == 1); // found out without harming the transaction
}

TEST_CASE("all mismatches of a record are told at once") {
    database_fixture t;
    t.run("create table person (id bigint primary key, email text not null, age text not null)");
    transaction tx(t.db);
    const auto error = caught<schema_mismatch>([&] { (void)repository<Person>{tx}.all(); });
    CHECK_THAT(error.what(), ContainsSubstring("record Person does not fit table person"));
    CHECK_THAT(error.what(),
               ContainsSubstring("Person::age (int, wants integer): column age is text; change the field's or "
                                 "the column's type"));
    CHECK_THAT(error.what(), ContainsSubstring("Person::boss") && ContainsSubstring("column boss does not exist") &&
                                 ContainsSubstring("tenon::named"));
    CHECK(error.column() == "age");
}

TEST_CASE("a table that was mended is found to fit") {
    database_fixture t;
    {
        transaction tx(t.db);
        CHECK_THROWS_AS(repository<Person>{tx}.all(), schema_mismatch);
    }
    t.run(fitting);
    transaction tx(t.db);
    CHECK(repository<Person>{tx}.all().empty());
}

TEST_CASE("a column that changes its type later is noticed before a byte is misread") {
    database_fixture t;
    t.run(fitting);
    {
        transaction tx(t.db);
        repository<Person>{tx}.insert({.id = {1}, .email = "a", .age = 20});
        tx.commit();
    }
    t.run("alter table person alter age type float4");
    transaction tx(t.db);
    const auto error = caught<schema_mismatch>([&] { (void)repository<Person>{tx}.find(id<Person>{1}); });
    CHECK_THAT(error.what(), ContainsSubstring("Person::age") && ContainsSubstring("real"));
}

TEST_CASE("NULL in a field that is not optional names field, column and remedy") {
    database_fixture t;
    t.run("create table person (id bigint primary key, email text, age int, boss bigint);"
          "insert into person (id, email) values (1, 'a')");
    transaction tx(t.db);
    const auto error = caught<decode_error>([&] { (void)repository<Person>{tx}.get(id<Person>{1}); });
    CHECK_THAT(error.what(), ContainsSubstring("column age of person is NULL") && ContainsSubstring("Person::age") &&
                                 ContainsSubstring("std::optional"));
    CHECK(error.column() == "age");
}

TEST_CASE("violations tell constraint and column, and no value") {
    database_fixture t;
    t.run(fitting);
    transaction tx(t.db);
    repository<Person> people{tx};
    people.insert({.id = {1}, .email = "secret@example.org", .age = 20});
    tx.commit();

    const auto attempt = [&](const Person& row) {
        transaction again(t.db);
        repository<Person>{again}.insert(row);
    };
    const auto unique =
        caught<unique_violation>([&] { attempt({.id = {2}, .email = "secret@example.org", .age = 20}); });
    CHECK(unique.constraint() == "person_email_key");
    CHECK(unique.column() == "email");
    CHECK(unique.table() == "person");
    CHECK_THAT(unique.what(), ContainsSubstring("insert into person (record Person)") &&
                                  ContainsSubstring("person_email_key") && ContainsSubstring("Person::email") &&
                                  ContainsSubstring("upsert") && !ContainsSubstring("secret"));
    CHECK_THAT(std::string(unique.detail()),
               ContainsSubstring("secret")); // the server's own words are there for who asks

    const auto foreign =
        caught<foreign_key_violation>([&] { attempt({.id = {2}, .email = "b", .age = 20, .boss = 77}); });
    CHECK(foreign.constraint() == "has_boss");
    CHECK(foreign.column() == "boss");
    CHECK_THAT(foreign.what(), ContainsSubstring("Person::boss") && !ContainsSubstring("77"));

    const auto check = caught<check_violation>([&] { attempt({.id = {2}, .email = "b", .age = 3}); });
    CHECK(check.constraint() == "grown_up");
    CHECK_THAT(check.what(), ContainsSubstring("grown_up"));

    t.run("update person set boss = id; alter table person alter boss set not null");
    const auto null = caught<not_null_violation>([&] { attempt({.id = {2}, .email = "b", .age = 20}); });
    CHECK(null.column() == "boss");
    CHECK_THAT(null.what(), ContainsSubstring("Person::boss") && ContainsSubstring("set the field"));

    t.run("alter table person add constraint no_overlap exclude using btree (age with =)");
    const auto exclusion =
        caught<constraint_violation>([&] { attempt({.id = {3}, .email = "c", .age = 20, .boss = 1}); });
    CHECK(exclusion.sqlstate() == "23P01");
}

TEST_CASE("a value quoted by the server stays out of the message") {
    database_fixture t;
    transaction tx(t.db);
    const auto error =
        caught<tenon::error>([&] { tx.execute("select $1::text::int", std::string("my \"secret\" word")); });
    CHECK_THAT(error.what(), ContainsSubstring("invalid input syntax") && !ContainsSubstring("secret"));
    CHECK(error.sqlstate() == "22P02");
}

TEST_CASE("text with an embedded NUL is refused before anything is sent") {
    database_fixture t;
    t.run(fitting);
    transaction tx(t.db);
    CHECK_THROWS_AS(repository<Person>{tx}.insert({.id = {1}, .email = std::string("a\0b", 3), .age = 20}),
                    encode_error);
    CHECK(repository<Person>{tx}.insert({.id = {1}, .email = "ab", .age = 20}).id.value == 1);
    CHECK_THROWS_AS(tx.execute(std::string_view("select 1\0; drop table person", 29)), encode_error);
}

TEST_CASE("text that is not UTF-8 is refused by the server, and the error is typed") {
    database_fixture t;
    t.run(fitting);
    transaction tx(t.db);
    const auto error =
        caught<tenon::error>([&] { repository<Person>{tx}.insert({.id = {1}, .email = "\xFF", .age = 20}); });
    CHECK(error.sqlstate() == "22021");
}

TEST_CASE("a trigger that suppresses the row is told") {
    database_fixture t;
    t.run(fitting);
    t.run("create function nothing() returns trigger language plpgsql as 'begin return null; end';"
          "create trigger nothing before insert on person for each row execute function nothing()");
    transaction tx(t.db);
    const auto error =
        caught<tenon::error>([&] { repository<Person>{tx}.insert({.id = {1}, .email = "a", .age = 20}); });
    CHECK_THAT(error.what(), ContainsSubstring("stored no row in person") && ContainsSubstring("trigger"));
}

TEST_CASE("a value that cannot be sent names record, field and column") {
    database_fixture t;
    t.run(fitting);
    transaction tx(t.db);
    repository<Person> people{tx};
    const std::string bad("a\0b", 3);
    const auto insert = caught<encode_error>([&] { people.insert({.id = {1}, .email = bad, .age = 20}); });
    CHECK_THAT(insert.what(), ContainsSubstring("Person::email") && ContainsSubstring("column email of person") &&
                                  ContainsSubstring("tenon::bytes"));
    const auto many = caught<encode_error>([&] { people.insert_many(std::vector<Person>{{.id = {1}, .email = bad}}); });
    CHECK_THAT(many.what(), ContainsSubstring("Person::email"));
    const auto where = caught<encode_error>([&] { (void)people.where(col<&Person::email> == bad).all(); });
    CHECK_THAT(where.what(), ContainsSubstring("Person::email"));
}

namespace {

struct Event {
    std::int64_t id{};
    std::int64_t at{};
    static constexpr auto table = tenon::table("event", tenon::key<&Event::id>);
};

struct TimedEvent {
    std::int64_t id{};
    tenon::timestamp at{};
    static constexpr auto table = tenon::table("event", tenon::key<&TimedEvent::id>);
};

} // namespace

TEST_CASE("two records on one table are each checked for themselves") {
    database_fixture t;
    t.run("create table event (id bigint primary key, at timestamptz not null)");
    transaction tx(t.db);
    CHECK(repository<TimedEvent>{tx}.all().empty());
    CHECK_THROWS_AS(repository<Event>{tx}.all(), schema_mismatch);
}

TEST_CASE("a column whose name needs quotes is found in a violation") {
    database_fixture t;
    t.run("create table \"Camel\" (id bigint primary key, \"userId\" text unique)");
    transaction tx(t.db);
    repository<Camel> camels{tx};
    camels.insert({1, "x"});
    const auto error = caught<unique_violation>([&] { camels.insert({2, "x"}); });
    CHECK(error.column() == "userId");
    CHECK_THAT(error.what(), ContainsSubstring("[column userId, field Camel::userId]"));
}
