#include <tenon/sql/condition.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>

namespace {

struct User {
    tenon::id<User> id{};
    std::string name;
    std::optional<std::int16_t> age{};
    tenon::timestamp created_at{};
    double score{};

    static constexpr auto table = tenon::table("users", tenon::key<&User::id>);
};

template <class C>
std::string_view sql_of(const C&) {
    return tenon::sql_text<C>;
}

} // namespace

using namespace tenon;

TEST_CASE("operators become SQL's own") {
    CHECK(sql_of(col<&User::name> == "Ada") == R"("name" = $1)");
    CHECK(sql_of(col<&User::name> != "Ada") == R"("name" <> $1)");
    CHECK(sql_of(col<&User::age> < 18) == R"("age" < $1)");
    CHECK(sql_of(col<&User::age> <= 18) == R"("age" <= $1)");
    CHECK(sql_of(col<&User::age> > 18) == R"("age" > $1)");
    CHECK(sql_of(col<&User::age> >= 18) == R"("age" >= $1)");
    CHECK(sql_of(col<&User::age> == std::nullopt) == R"("age" is null)");
    CHECK(sql_of(col<&User::age> != std::nullopt) == R"("age" is not null)");
    CHECK(sql_of(like(col<&User::name>, "A%")) == R"("name" like $1)");
    CHECK(sql_of(in(col<&User::id>, {{1}, {2}})) == R"("id" = any($1))");
}

TEST_CASE("conditions combine with their precedence kept") {
    const auto condition = (col<&User::name> == "a" || col<&User::name> == "b") && !(col<&User::age> > 3);
    CHECK(sql_of(condition) == R"((("name" = $1 or "name" = $2) and not ("age" > $3)))");
}

TEST_CASE("values are bound in the order of their placeholders") {
    const auto condition = col<&User::age> > 3 && col<&User::id> == id<User>{9};
    parameter_list<2> values;
    condition.bind(values);
    CHECK(values.lengths()[0] == 2);
    CHECK(values.lengths()[1] == 8);

    const value_shape* shapes[2];
    const value_shape** out = shapes;
    decltype(condition)::shapes(out);
    CHECK(shapes[0]->type.name == "smallint");
    CHECK(shapes[1]->type.name == "bigint");
}

TEST_CASE("a number that does not fit the column is refused, not wrapped") {
    CHECK_THROWS_AS(col<&User::age> == 40'000, encode_error);
    CHECK_NOTHROW(col<&User::age> == 32'767);
}

TEST_CASE("a column takes values that convert without surprise") {
    using namespace tenon::detail;
    STATIC_CHECK(stands_for<double, int>);
    STATIC_CHECK(stands_for<std::string, const char*>);
    STATIC_CHECK(stands_for<timestamp, std::chrono::system_clock::time_point>);
    STATIC_CHECK_FALSE(stands_for<int, double>);
    STATIC_CHECK_FALSE(stands_for<std::string, int>);
    STATIC_CHECK_FALSE(stands_for<bool, int>);
    STATIC_CHECK_FALSE(stands_for<int, bool>);
    STATIC_CHECK_FALSE(stands_for<id<User>, int>);
    STATIC_CHECK_FALSE(stands_for<id<User>, id<std::string>>);
}
