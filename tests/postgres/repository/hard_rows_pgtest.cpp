// Rows that PostgreSQL itself makes hard.
#include <cmath>
#include <limits>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/json.hpp>
#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono;
using namespace std::chrono_literals;

namespace {

enum class Mood { sad, ok, happy };

struct Everything {
    std::int64_t id{};
    bool yes{};
    std::int16_t small{};
    std::int32_t medium{};
    std::int64_t large{};
    float real{};
    double precise{};
    std::string text{};
    tenon::bytes blob{};
    tenon::uuid uuid{};
    tenon::timestamp at{};
    tenon::date day{};
    Mood mood{};
    nlohmann::json document{};
    std::vector<std::string> tags{};

    static constexpr auto table = tenon::table("everything", tenon::key<&Everything::id>);

    friend bool operator==(const Everything&, const Everything&) = default;
};

struct Nothing {
    std::int64_t id{};
    std::optional<bool> yes{};
    std::optional<std::int16_t> small{};
    std::optional<std::int32_t> medium{};
    std::optional<std::int64_t> large{};
    std::optional<float> real{};
    std::optional<double> precise{};
    std::optional<std::string> text{};
    std::optional<tenon::bytes> blob{};
    std::optional<tenon::uuid> uuid{};
    std::optional<tenon::timestamp> at{};
    std::optional<tenon::date> day{};
    std::optional<Mood> mood{};
    std::optional<nlohmann::json> document{};
    std::optional<std::vector<std::string>> tags{};

    static constexpr auto table = tenon::table("everything", tenon::key<&Nothing::id>);

    friend bool operator==(const Nothing&, const Nothing&) = default;
};

struct Slim {
    std::int64_t id{};
    std::int64_t large{};
    std::optional<std::string> text{};

    static constexpr auto table = tenon::table("slim", tenon::key<&Slim::id>);
};

struct hard : database_fixture {
    hard() { create_table<Nothing>(tx); }
    transaction tx{db};
    repository<Everything> full{tx};
    repository<Nothing> empty{tx};
};

} // namespace

TEST_CASE("NULL in every column that may hold it") {
    hard t;
    const Nothing row{.id = 1};
    CHECK(t.empty.insert(row) == row);
    CHECK(t.empty.get(1) == row);
}

TEST_CASE("an empty value is not NULL") {
    hard t;
    const Everything row{.id = 1};
    CHECK(t.full.insert(row) == row);
    const Nothing read = t.empty.get(1);
    CHECK(read.text == "");
    CHECK(read.blob == bytes{});
    CHECK(read.tags == std::vector<std::string>{});
}

TEST_CASE("the limits of every number survive") {
    hard t;
    const auto limits = [](auto pick, std::int64_t id) {
        return Everything{.id = id,
                          .yes = true,
                          .small = pick(std::int16_t{}),
                          .medium = pick(std::int32_t{}),
                          .large = pick(std::int64_t{}),
                          .real = pick(float{}),
                          .precise = pick(double{})};
    };
    const Everything least = limits([](auto n) { return std::numeric_limits<decltype(n)>::lowest(); }, INT64_MIN);
    const Everything most = limits([](auto n) { return std::numeric_limits<decltype(n)>::max(); }, INT64_MAX);
    CHECK(t.full.insert(least) == least);
    CHECK(t.full.insert(most) == most);
    CHECK(t.full.get(INT64_MIN) == least);
}

TEST_CASE("NaN and infinities survive") {
    hard t;
    const Everything row = t.full.insert(
        {.id = 1, .real = std::numeric_limits<float>::infinity(), .precise = std::numeric_limits<double>::quiet_NaN()});
    CHECK(std::isinf(row.real));
    CHECK(std::isnan(row.precise));
}

TEST_CASE("four-byte UTF-8 survives in text, labels of arrays and JSON") {
    hard t;
    const std::string elephant = "\xF0\x9F\x90\x98 und \xE2\x82\xAC";
    const Everything row{
        .id = 1, .text = elephant, .mood = Mood::happy, .document = {{"k", elephant}}, .tags = {elephant, ""}};
    CHECK(t.full.insert(row) == row);
}

TEST_CASE("times before 1970, after 2262 and at infinity survive, and the server agrees on them") {
    hard t;
    const timestamp old = sys_days{1815y / 12 / 10} + 13h + 37min + 1us;
    const timestamp late = sys_days{9999y / 12 / 31} + 23h + 59min + 59s + 999'999us;
    const timestamp bc = sys_days{year{-4711} / 1 / 1};
    for (const timestamp at : {old, late, bc, infinity<timestamp>, minus_infinity<timestamp>}) {
        const Everything row{.id = 1, .at = at, .day = floor<days>(old)};
        CHECK(t.full.upsert(row) == row);
    }
    const auto same = [&](timestamp at, const std::string& text) {
        return t.tx.execute("select 1 where $1 = '" + text + "'::timestamptz", at) == 1;
    };
    CHECK(same(old, "1815-12-10 13:37:00.000001+00"));
    CHECK(same(late, "9999-12-31 23:59:59.999999+00"));
    CHECK(same(bc, "4712-01-01 00:00:00+00 BC"));
    CHECK(same(infinity<timestamp>, "infinity"));
    CHECK(same(minus_infinity<timestamp>, "-infinity"));
    CHECK(t.tx.execute("select 1 where $1 = '1815-12-10'::date", date{1815y / 12 / 10}) == 1);
}

TEST_CASE("a time that tenon::timestamp cannot hold is told, not wrapped") {
    hard t;
    t.tx.execute("insert into everything (id, at) values (1, '294276-12-31 23:59:59.999999+00')");
    CHECK_THROWS_AS(t.empty.get(1), decode_error);
}

TEST_CASE("a megabyte of text and of bytes") {
    hard t;
    Everything row{.id = 1, .text = std::string(1 << 20, 'x'), .blob = bytes(1 << 20)};
    for (std::size_t i = 0; i < row.blob.size(); ++i)
        row.blob[i] = static_cast<std::byte>(i * 31);
    CHECK(t.full.insert(row) == row);
}

TEST_CASE("an enum fits text, varchar, a domain and PostgreSQL's own enum type") {
    for (const char* type : {"text", "varchar(10)", "mood_domain", "mood"}) {
        INFO(type);
        hard t;
        t.tx.execute("create type mood as enum ('sad', 'ok', 'happy'); create domain mood_domain as text check (value "
                     "<> 'angry');"
                     "alter table everything alter mood type " +
                     std::string(type) + " using null");
        CHECK(t.full.insert({.id = 1, .mood = Mood::happy}).mood == Mood::happy);
        CHECK(t.full.where(col<&Everything::mood> == Mood::happy).count() == 1);
        CHECK(t.full.insert_many(std::vector<Everything>{{.id = 2, .mood = Mood::ok}}).size() == 1);
    }
}

TEST_CASE("json columns serve as jsonb does, and JSON null is not NULL") {
    hard t;
    t.tx.execute("alter table everything alter document type json using null");
    const nlohmann::json null = nullptr;
    CHECK(t.full.insert({.id = 1, .document = null}).document == null);
    CHECK(t.tx.execute("select 1 from everything where document is not null") == 1);
}

TEST_CASE("a hundred thousand rows go in and come out") {
    hard t;
    create_table<Slim>(t.tx);
    repository<Slim> slim{t.tx};
    std::vector<Slim> rows;
    for (std::int64_t i = 0; i < 100'000; ++i)
        rows.push_back({.id = i, .large = -i, .text = i % 2 == 0 ? std::optional(std::to_string(i)) : std::nullopt});
    CHECK(slim.insert_many(rows).size() == 100'000);

    std::int64_t seen = 0;
    std::int64_t sum = 0;
    for (const Slim& row : slim.order_by(col<&Slim::id>)) {
        if (row.id != seen || row.text.has_value() != (row.id % 2 == 0))
            FAIL("row " << seen << " came back wrong");
        ++seen;
        sum += row.large;
    }
    CHECK(seen == 100'000);
    CHECK(sum == -4'999'950'000);
    CHECK(slim.all().size() == 100'000);
}
