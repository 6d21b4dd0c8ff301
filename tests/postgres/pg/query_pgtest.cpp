#include <tenon/pg/query.hpp>

#include <functional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Stats {
    std::int64_t orders{};
    std::optional<double> revenue{};
};

constexpr query<Stats, std::string> stats{
    "select count(*) as orders, sum(total) as revenue from orders where customer = $1"};
constexpr query<std::tuple<std::int32_t, std::string>> pairs{"select id, customer from orders order by id"};
constexpr query<std::optional<double>, std::int32_t> total{"select total from orders where id = $1"};
constexpr query<void, double> raise{"update orders set total = total * $1"};

struct shop : database_fixture {
    transaction tx{db};
    shop() {
        tx.execute("create table orders (id int primary key, customer text not null, total float8);"
                   "insert into orders values (1, 'ada', 2.5), (2, 'ada', 3), (3, 'grace', null)");
    }
};

std::string mismatch_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const schema_mismatch& refused) {
        return refused.what();
    }
    FAIL("accepted");
    return {};
}

} // namespace

TEST_CASE("a query fills records, tuples and single values") {
    shop t;
    const Stats ada = stats.one(t.tx, "ada");
    CHECK(ada.orders == 2);
    CHECK(ada.revenue == 5.5);
    CHECK_FALSE(stats.one(t.tx, "nobody").revenue);
    CHECK(pairs.all(t.tx) == std::vector<std::tuple<std::int32_t, std::string>>{{1, "ada"}, {2, "ada"}, {3, "grace"}});
    CHECK(total.first(t.tx, 2).value() == 3.0);
    CHECK_FALSE(total.first(t.tx, 3).value()); // a row with NULL
    CHECK_FALSE(total.first(t.tx, 4));         // no row
    CHECK(raise.run(t.tx, 2.0) == 3);
}

TEST_CASE("one wants exactly one row") {
    shop t;
    CHECK_THROWS_AS(total.one(t.tx, 4), row_not_found);
    CHECK_THROWS_AS((query<std::int32_t>{"select id from orders"}.one(t.tx)), too_many_rows);
}

TEST_CASE("types, names and counts are checked before the statement runs, all in one report") {
    shop t;
    constexpr query<Stats, std::string> wrong{
        "insert into orders values (9, 'x', 1) returning customer as orders, total as sum, $1::int"};
    const std::string report = mismatch_of([&] { (void)wrong.all(t.tx, "1"); });
    CHECK_THAT(report, ContainsSubstring("$1 is integer") &&
                           ContainsSubstring("it returns 3 columns, expected are 2") &&
                           ContainsSubstring("column 1 is text") &&
                           ContainsSubstring("column 2 is named sum, expected is revenue"));
    CHECK(pairs.all(t.tx).size() == 3);
}

TEST_CASE("a set of declared queries is checked in one call") {
    shop t;
    CHECK_NOTHROW(check_queries(t.tx, stats, pairs, total, raise));
    constexpr query<std::int32_t> no_table{"select id from nowhere"};
    constexpr query<bool> wrong_type{"select id from orders"};
    const std::string report = mismatch_of([&] { check_queries(t.tx, stats, no_table, wrong_type, pairs); });
    CHECK_THAT(report, ContainsSubstring("select id from nowhere") && ContainsSubstring("\"nowhere\" does not exist") &&
                           ContainsSubstring("column 1 is integer, expected is bool") &&
                           !ContainsSubstring("select count"));
    CHECK(pairs.all(t.tx).size() == 3);
}

TEST_CASE("NULL where a value is expected names the field") {
    shop t;
    struct Total {
        double total;
    };
    constexpr query<Total> totals{"select total from orders"};
    try {
        (void)totals.all(t.tx);
        FAIL("accepted");
    } catch (const decode_error& refused) {
        CHECK_THAT(refused.what(), ContainsSubstring("Total::total") && ContainsSubstring("std::optional"));
    }
    CHECK_THROWS_AS((query<double>{"select total from orders"}.all(t.tx)), decode_error);
}
