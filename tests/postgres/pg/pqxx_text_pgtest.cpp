// Types that libpqxx converts, through the text format.
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace pqxx_text_pgtest {

struct Point {
    int x = 0;
    int y = 0;
    friend bool operator==(const Point&, const Point&) = default;
};

} // namespace pqxx_text_pgtest

namespace pqxx {

template <>
struct nullness<pqxx_text_pgtest::Point> : no_null<pqxx_text_pgtest::Point> {};

template <>
struct string_traits<pqxx_text_pgtest::Point> {
    static constexpr bool converts_to_string = true;
    static constexpr bool converts_from_string = true;

    static std::string text(const pqxx_text_pgtest::Point& value) {
        return "(" + std::to_string(value.x) + "," + std::to_string(value.y) + ")";
    }
    static char* into_buf(char* begin, char* end, const pqxx_text_pgtest::Point& value) {
        const std::string made = text(value);
        if (static_cast<std::size_t>(end - begin) <= made.size())
            throw conversion_overrun("no room for a point");
        *std::copy(made.begin(), made.end(), begin) = '\0';
        return begin + made.size() + 1;
    }
    static zview to_buf(char* begin, char* end, const pqxx_text_pgtest::Point& value) {
        char* const past = into_buf(begin, end, value);
        return zview(begin, static_cast<std::size_t>(past - begin) - 1);
    }
    static std::size_t size_buffer(const pqxx_text_pgtest::Point& value) noexcept { return text(value).size() + 1; }
    static pqxx_text_pgtest::Point from_string(std::string_view from) {
        pqxx_text_pgtest::Point value;
        const auto comma = from.find(',');
        if (comma == std::string_view::npos)
            throw conversion_error("no point: secret");
        std::from_chars(from.data() + 1, from.data() + comma, value.x);
        std::from_chars(from.data() + comma + 1, from.data() + from.size(), value.y);
        return value;
    }
};

} // namespace pqxx

template <>
struct tenon::codec<pqxx_text_pgtest::Point> : tenon::pqxx_text<pqxx_text_pgtest::Point, "point"> {};

namespace pqxx_text_pgtest {

struct Place {
    std::int64_t id{};
    std::string name;
    Point at{};
    std::optional<Point> entrance{};

    static constexpr auto table = tenon::table("place", tenon::key<&Place::id>);
    friend bool operator==(const Place&, const Place&) = default;
};

struct places : database_fixture {
    transaction tx{db};
    repository<Place> rows{tx};

    places() { create_table<Place>(tx); }
};

} // namespace pqxx_text_pgtest

using namespace pqxx_text_pgtest;

TEST_CASE("a type of libpqxx is a column: stored, found, changed, streamed and looked for") {
    places t;
    const Place nave{1, "nave", {3, -4}, Point{5, 6}};
    CHECK(t.rows.insert(nave) == nave);
    CHECK(t.rows.insert({2, "crypt", {0, 1}}) == Place{2, "crypt", {0, 1}});
    CHECK(t.rows.update(std::int64_t{2}, col<&Place::entrance> = Point{7, 8}).entrance == Point{7, 8});
    CHECK(t.rows.insert_many(std::vector<Place>{{3, "choir", {9, 9}}}).size() == 1);
    int seen = 0;
    for (const Place& each : t.rows.every().stream())
        seen += each.at.x;
    CHECK(seen == 12);
    CHECK(t.tx.execute("select from place where at ~= point(3, -4) and entrance ~= point(5, 6)") == 1);
}

TEST_CASE("a type of libpqxx is a parameter and a result of raw SQL") {
    places t;
    constexpr query<Point, Point> moved{"select ($1 + point(1, 1))::text"};
    CHECK(moved.one(t.tx, Point{1, 2}) == Point{2, 3});
    constexpr query<Point, Point> binary{"select $1 + point(1, 1)"};
    CHECK_THROWS_WITH(binary.one(t.tx, Point{1, 2}), ContainsSubstring("write column::text"));
}

TEST_CASE("a column of another type than libpqxx's is refused") {
    places t;
    t.tx.execute("alter table place alter at type text using at::text");
    CHECK_THROWS_WITH(t.rows.count() + static_cast<std::int64_t>(t.rows.all().size()),
                      ContainsSubstring("Place::at") && ContainsSubstring("is text"));
}

TEST_CASE("COPY is binary, so it refuses what travels as text") {
    places t;
    CHECK_THROWS_AS(t.rows.copy_in(std::vector<Place>{{1, "nave"}}), schema_mismatch);
}

TEST_CASE("text that libpqxx cannot read throws decode_error, without the text") {
    places t;
    constexpr query<Point> nonsense{"select 'secret'::text"};
    CHECK_THROWS_AS(nonsense.one(t.tx), decode_error);
    CHECK_THROWS_WITH(nonsense.one(t.tx), !ContainsSubstring("secret"));
}
