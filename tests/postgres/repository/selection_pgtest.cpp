#include <tenon/repository/selection.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace {

enum class Kind { tree, herb };

struct Plant {
    std::int32_t id{};
    std::string name;
    Kind kind{};
    std::optional<std::int16_t> height{};

    static constexpr auto table = tenon::table("plant", tenon::key<&Plant::id>);

    friend bool operator==(const Plant&, const Plant&) = default;
};

struct garden : database_fixture {
    garden() {
        create_table<Plant>(tx);
        plants.insert_many(std::vector<Plant>{{1, "oak", Kind::tree, 300},
                                              {2, "elm", Kind::tree, 250},
                                              {3, "thyme", Kind::herb, std::nullopt},
                                              {4, "sage", Kind::herb, 4},
                                              {5, "mint", Kind::herb, 4}});
    }
    transaction tx{db};
    repository<Plant> plants{tx};

    static std::vector<std::int32_t> ids(const std::vector<Plant>& list) {
        std::vector<std::int32_t> found;
        for (const Plant& plant : list)
            found.push_back(plant.id);
        return found;
    }
};

using list = std::vector<std::int32_t>;

} // namespace

TEST_CASE("every operator of a condition selects the rows it names") {
    garden t;
    const auto found = [&](const auto& condition) {
        return garden::ids(t.plants.where(condition).order_by(col<&Plant::id>).all());
    };
    CHECK(found(col<&Plant::name> == "oak") == list{1});
    CHECK(found(col<&Plant::name> != "oak") == list{2, 3, 4, 5});
    CHECK(found(col<&Plant::height> < 250) == list{4, 5});
    CHECK(found(col<&Plant::height> <= 250) == list{2, 4, 5});
    CHECK(found(col<&Plant::height> > 250) == list{1});
    CHECK(found(col<&Plant::height> >= 250) == list{1, 2});
    CHECK(found(col<&Plant::height> == std::nullopt) == list{3});
    CHECK(found(col<&Plant::height> != std::nullopt) == list{1, 2, 4, 5});
    CHECK(found(col<&Plant::kind> == Kind::herb && !(col<&Plant::name> == "sage")) == list{3, 5});
    CHECK(found(col<&Plant::id> == 1 || col<&Plant::id> == 2) == list{1, 2});
    CHECK(found(like(col<&Plant::name>, "%m%")) == list{2, 3, 5});
    CHECK(found(in(col<&Plant::name>, {"oak", "mint", "none"})) == list{1, 5});
    CHECK(found(in(col<&Plant::id>, {})).empty());
    CHECK(found(in(col<&Plant::kind>, {Kind::tree})) == list{1, 2});
}

TEST_CASE("rows come in the order that was asked for") {
    garden t;
    CHECK(garden::ids(t.plants.order_by(desc(col<&Plant::id>)).all()) == list{5, 4, 3, 2, 1});
    CHECK(garden::ids(t.plants.order_by(asc(col<&Plant::height>), desc(col<&Plant::name>)).all()) ==
          list{4, 5, 2, 1, 3});
}

TEST_CASE("an enum column of PostgreSQL's own takes lists and many rows, too") {
    database_fixture t;
    transaction tx(t.db);
    tx.execute("create type kind as enum ('tree', 'herb'); create domain name as text;"
               "create table plant (id int primary key, name name not null, kind kind not null, height smallint)");
    repository<Plant> plants{tx};
    CHECK(plants.insert_many(std::vector<Plant>{{1, "oak", Kind::tree, 300}, {2, "mint", Kind::herb, 4}}).size() == 2);
    CHECK(garden::ids(plants.where(in(col<&Plant::kind>, {Kind::herb})).all()) == list{2});
    CHECK(plants.where(in(col<&Plant::name>, {"oak", "yew"})).one().id == 1);
}

TEST_CASE("find_many gives the rows that exist") {
    garden t;
    CHECK(t.plants.find_many({1, 99, 3}).size() == 2);
    CHECK(t.plants.find_many({}).empty());
}

TEST_CASE("an update can add to a column") {
    garden t;
    CHECK(t.plants.update(1, col<&Plant::height> += 5, col<&Plant::name> = "big oak") ==
          Plant{1, "big oak", Kind::tree, 305});
    CHECK(t.plants.update(1, col<&Plant::height> -= 10).height == 295);
    CHECK_FALSE(t.plants.update(3, col<&Plant::height> += 1).height); // NULL + 1 is NULL
}

TEST_CASE("limit, first, one, count and exists") {
    garden t;
    const auto herbs = t.plants.where(col<&Plant::kind> == Kind::herb).order_by(col<&Plant::id>);
    CHECK(garden::ids(herbs.limit(2).all()) == list{3, 4});
    CHECK(herbs.limit(0).all().empty());
    CHECK_FALSE(herbs.limit(0).first());
    CHECK(herbs.first()->id == 3);
    CHECK(herbs.count() == 3);
    CHECK(herbs.limit(2).count() == 2);
    CHECK(herbs.exists());
    CHECK(t.plants.count() == 5);
    CHECK(t.plants.exists());

    const auto none = t.plants.where(col<&Plant::name> == "yew");
    CHECK_FALSE(none.first());
    CHECK(none.count() == 0);
    CHECK_FALSE(none.exists());

    CHECK(t.plants.where(col<&Plant::name> == "oak").one().id == 1);
    CHECK_THROWS_AS(none.one(), row_not_found);
    CHECK_THROWS_AS(herbs.one(), too_many_rows);
    CHECK(herbs.limit(1).one().id == 3);
    CHECK_THROWS_AS(herbs.limit(-1), usage_error);
}

TEST_CASE("a range-for decodes row by row, and may run other statements meanwhile") {
    garden t;
    list seen;
    for (const Plant& plant : t.plants.order_by(col<&Plant::id>)) {
        seen.push_back(plant.id);
        CHECK(t.plants.find(plant.id) == plant);
    }
    CHECK(seen == list{1, 2, 3, 4, 5});
    for ([[maybe_unused]] const Plant& plant : t.plants.where(col<&Plant::id> == 99))
        FAIL("no such row");
}

TEST_CASE("a value is never SQL") {
    garden t;
    const std::string hostile = "'; drop table plant; --";
    CHECK_FALSE(t.plants.where(col<&Plant::name> == hostile).exists());
    t.plants.update(1, col<&Plant::name>, hostile);
    CHECK(t.plants.get(1).name == hostile);
}
