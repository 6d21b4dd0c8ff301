// Composite types whose attributes have OIDs of their own in every database: enum types, domains, varchar.
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/codec/array.hpp>
#include <tenon/codec/composite.hpp>
#include <tenon/codec/enumeration.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace composite_pgtest {

enum class mood { calm, busy };

struct Tag {
    std::string name;
    std::optional<mood> feeling{};

    static constexpr auto type = tenon::composite("app.tag");
    friend bool operator==(const Tag&, const Tag&) = default;
};

struct Place {
    std::string street;
    mood usual{};
    std::int32_t floor{};
    std::vector<mood> seen{};
    std::vector<std::optional<Tag>> tags{};
    std::optional<Tag> first{};

    static constexpr auto type = tenon::composite("place");
    friend bool operator==(const Place&, const Place&) = default;
};

struct Office {
    std::int64_t id{};
    Place place{};
    std::vector<Place> others{};
    std::optional<Place> none{};

    static constexpr auto table = tenon::table("office", tenon::key<&Office::id>);
    friend bool operator==(const Office&, const Office&) = default;
};

struct Wrong {
    std::string street;
    std::int64_t usual{};

    static constexpr auto type = tenon::composite("short_place");
};

struct Misfit {
    std::int64_t id{};
    Wrong place{};

    static constexpr auto table = tenon::table("misfit", tenon::key<&Misfit::id>);
};

struct offices : database_fixture {
    transaction tx{db};
    repository<Office> rows{tx};

    offices() {
        tx.execute("create schema app; set local search_path = public, app;"
                   "create type mood as enum ('calm', 'busy');"
                   "create domain storey as integer check (value < 100);"
                   "create type app.tag as (name varchar(20), feeling mood);"
                   "create type place as (street varchar(40), usual mood, floor storey, gone text, seen mood[],"
                   " tags app.tag[], first app.tag);"
                   "alter type place drop attribute gone;"
                   "create domain known_place as place;"
                   "create table office (id bigint primary key, place known_place not null, others place[] not null,"
                   " none place)");
    }
};

Office make_office(std::int64_t id) {
    const Place place{.street = "Nave",
                      .usual = mood::busy,
                      .floor = 3,
                      .seen = {mood::busy, mood::calm},
                      .tags = {Tag{"a", mood::calm}, std::nullopt, Tag{"b"}},
                      .first = Tag{"c", mood::busy}};
    return {.id = id, .place = place, .others = {place, Place{.street = "Transept"}}};
}

} // namespace composite_pgtest

using namespace composite_pgtest;

TEST_CASE("composites of enums, domains and varchar are stored by insert") {
    offices t;
    CHECK(t.rows.insert(make_office(1)) == make_office(1));
    CHECK(t.tx.execute("select from office where (place).usual = 'busy' and (place).floor = 3"
                       " and ((place).tags)[3].name = 'b' and (others[2]).street = 'Transept' and none is null") == 1);
}

TEST_CASE("composites of enums, domains and varchar are stored by insert_many") {
    offices t;
    t.rows.insert_many(std::vector{make_office(1), make_office(2)});
    CHECK(t.rows.get(std::int64_t{2}) == make_office(2));
}

TEST_CASE("composites of enums, domains and varchar are stored by COPY") {
    offices t;
    t.rows.copy_in(std::vector{make_office(1), make_office(2)});
    CHECK(t.rows.get(std::int64_t{2}) == make_office(2));
    std::vector<Office> copied;
    for (const Office& row : t.rows.copy_out())
        copied.push_back(row);
    CHECK(copied == std::vector{make_office(1), make_office(2)});
}

TEST_CASE("composites of enums, domains and varchar are parameters of raw SQL") {
    offices t;
    constexpr query<std::tuple<Place>, Place> same{"select $1::place"};
    CHECK(std::get<0>(same.one(t.tx, make_office(1).place)) == make_office(1).place);
}

TEST_CASE("a composite whose attributes differ is refused before a value is sent, and the attributes are named") {
    database_fixture t;
    transaction tx{t.db};
    tx.execute("create type short_place as (street text, usual integer[]);"
               "create table misfit (id bigint primary key, place short_place not null)");
    CHECK_THROWS_WITH((repository<Misfit>{tx}.find(std::int64_t{1})),
                      ContainsSubstring("Misfit::place") && ContainsSubstring("short_place (text, integer[])"));
}

TEST_CASE("what the server would not convert inside of a composite is refused as a parameter") {
    database_fixture t;
    transaction tx{t.db};
    tx.execute("create type short_place as (street text, usual integer);"
               "create table misfit (id bigint primary key, place short_place not null)");
    repository<Misfit> rows{tx};
    CHECK_FALSE(rows.find(std::int64_t{1})); // a wider field reads the narrower attribute
    CHECK_THROWS_AS(rows.insert({.id = 1, .place = {"Nave", 4}}), schema_mismatch);
}
