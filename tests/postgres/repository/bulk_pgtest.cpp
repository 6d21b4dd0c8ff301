// COPY in both directions and streams: many rows, early ends, failures in the middle.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/codec/json.hpp>
#include <tenon/pg/savepoint.hpp>
#include <tenon/repository/repository.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace {

enum class Mood { sad, ok };

struct Row {
    std::int64_t id{};
    std::string text{};
    std::optional<double> number{};
    tenon::uuid token{};
    Mood mood{};
    nlohmann::json document{};
    std::vector<Mood> moods{};
    tenon::timestamp at{};

    static constexpr auto table = tenon::table("bulk", tenon::key<&Row::id>);

    friend bool operator==(const Row&, const Row&) = default;
};

struct Line {
    std::int64_t id{};
    std::string name{};

    static constexpr auto table = tenon::table("line", tenon::key<&Line::id>);
};

Row make_row(std::int64_t id) {
    return {.id = id,
            .text = std::string(static_cast<std::size_t>(id % 50), 'x'),
            .number = id % 3 == 0 ? std::nullopt : std::optional(0.5 * static_cast<double>(id)),
            .token = uuid::v4(),
            .mood = id % 2 == 0 ? Mood::sad : Mood::ok,
            .document = {{"id", id}},
            .moods = {Mood::ok, Mood::sad},
            .at = timestamp{std::chrono::microseconds{id}}};
}

struct bulk : database_fixture {
    bulk() {
        tx.execute(
            "create type mood as enum ('sad', 'ok'); create domain short_text as varchar(60);"
            "create table bulk (id bigint primary key, text short_text not null, number float8, token uuid not null,"
            " mood mood not null, document jsonb not null, moods mood[] not null, at timestamptz not null)");
    }
    transaction tx{db};
    repository<Row> rows{tx};
};

} // namespace

TEST_CASE("rows that went in by COPY are what came to be, with enum types, domains and arrays") {
    bulk t;
    std::vector<Row> list;
    for (std::int64_t i = 0; i < 5000; ++i) // more than one buffer
        list.push_back(make_row(i));
    CHECK(t.rows.copy_in(list) == 5000);
    CHECK(t.rows.order_by(col<&Row::id>).all() == list);

    std::size_t seen = 0;
    for (const Row& row : t.rows.copy_out())
        seen += row == list[static_cast<std::size_t>(row.id)] ? 1U : 0U;
    CHECK(seen == 5000);
}

TEST_CASE("rows can be made while they are copied") {
    bulk t;
    CHECK(t.rows.copy_in([](auto& sink) {
        for (std::int64_t i = 0; i < 10; ++i)
            sink(make_row(i));
    }) == 10);
    CHECK(t.rows.copy_in(std::vector<Row>{}) == 0);
    CHECK(t.rows.count() == 10);
}

TEST_CASE("a row that breaks a constraint fails the whole COPY with a typed error") {
    bulk t;
    {
        savepoint attempt(t.tx);
        CHECK_THROWS_AS(t.rows.copy_in(std::vector{make_row(1), make_row(2), make_row(1)}), unique_violation);
    }
    CHECK(t.rows.count() == 0);
}

TEST_CASE("a producer that throws, or a value that cannot be sent, breaks the COPY off") {
    bulk t;
    {
        savepoint attempt(t.tx);
        CHECK_THROWS_AS(t.rows.copy_in([](auto& sink) {
            sink(make_row(1));
            throw std::runtime_error("no more");
        }),
                        std::runtime_error);
    }
    {
        savepoint attempt(t.tx);
        Row bad = make_row(2);
        bad.text = std::string("a\0b", 3);
        try {
            t.rows.copy_in(std::vector{make_row(1), bad});
            FAIL("stored");
        } catch (const encode_error& refused) {
            CHECK_THAT(refused.what(), ContainsSubstring("Row::text"));
        }
    }
    CHECK(t.rows.count() == 0);
    CHECK(t.rows.copy_in(std::vector{make_row(1)}) == 1);
}

namespace {

struct Wide {
    std::int64_t id{};
    std::int64_t n{};
    static constexpr auto table = tenon::table("wide", tenon::key<&Wide::id>);
};

} // namespace

TEST_CASE("COPY wants exactly the column's type, and says where it is not") {
    database_fixture t;
    t.run("create table wide (id bigint primary key, n int not null)");
    transaction tx(t.db);
    repository<Wide> rows{tx};
    CHECK(rows.insert({1, 2}).n == 2); // a statement converts
    try {
        rows.copy_in(std::vector<Wide>{{2, 3}});
        FAIL("accepted");
    } catch (const schema_mismatch& refused) {
        CHECK_THAT(refused.what(),
                   ContainsSubstring("Wide::n (bigint): column n is integer") && ContainsSubstring("insert_many"));
    }
    CHECK_THROWS_AS(rows.copy_out(), schema_mismatch);
    CHECK(rows.count() == 1);
}

TEST_CASE("text with an embedded NUL is refused by COPY, which names line and column") {
    database_fixture t;
    transaction tx{t.db};
    tx.execute("create table line (id bigint primary key, name text not null)");
    try {
        repository<Line>{tx}.copy_in(std::vector{Line{1, "a"}, Line{2, std::string("a\0b", 3)}});
        FAIL("stored");
    } catch (const error& refused) {
        CHECK(refused.sqlstate() == "22021");
        CHECK_THAT(refused.what(), ContainsSubstring("NUL"));
        CHECK_THAT(std::string(refused.where()), ContainsSubstring("line 2, column name"));
    }
}

TEST_CASE("a stream gives the same rows as all") {
    bulk t;
    std::vector<Row> list;
    for (std::int64_t i = 0; i < 1000; ++i)
        list.push_back(make_row(i));
    t.rows.copy_in(list);
    std::vector<Row> seen;
    for (const Row& row : t.rows.where(col<&Row::id> >= 500).order_by(col<&Row::id>).stream())
        seen.push_back(row);
    CHECK(seen == std::vector(list.begin() + 500, list.end()));
    for ([[maybe_unused]] const Row& row : t.rows.where(col<&Row::id> < 0).stream())
        FAIL("no such row");
    CHECK(t.rows.count() == 1000);
}

TEST_CASE("a stream or COPY that is left early leaves the transaction usable") {
    database_fixture t;
    transaction tx(t.db);
    tx.execute("create table wide (id bigint primary key, n bigint not null);"
               "insert into wide select i, i from generate_series(1, 300000) i");
    repository<Wide> rows{tx};
    for (int round = 0; round < 3; ++round) {
        for (const Wide& row : rows.every().stream())
            if (row.id == 3)
                break;
        for (const Wide& row : rows.copy_out())
            if (row.id == 3)
                break;
    }
    CHECK(rows.count() == 300'000);
    tx.commit();
}

TEST_CASE("an exception in the loop leaves the transaction usable, too") {
    bulk t;
    t.rows.copy_in(std::vector{make_row(1), make_row(2)});
    CHECK_THROWS_AS(
        [&] {
            for ([[maybe_unused]] const Row& row : t.rows.every().stream())
                throw std::runtime_error("enough");
        }(),
        std::runtime_error);
    CHECK(t.rows.count() == 2);
}

TEST_CASE("another statement while a stream is open is refused, and the stream goes on") {
    bulk t;
    t.rows.copy_in(std::vector{make_row(1), make_row(2), make_row(3)});
    int seen = 0;
    for ([[maybe_unused]] const Row& row : t.rows.every().stream()) {
        ++seen;
        CHECK_THROWS_AS(t.rows.count(), usage_error);
    }
    CHECK(seen == 3);
}

TEST_CASE("a failure in the middle of a stream is thrown, at the latest where it is met") {
    database_fixture t;
    transaction tx(t.db);
    tx.execute("create table wide (id bigint primary key, n bigint not null); insert into wide values (1, 1);"
               "create view failing as select id, case when id < 900 then n else 1 / (id - id) end as n from"
               " (select i::bigint as id, 1::bigint as n from generate_series(1, 1000) i) s");
    struct counter {
        int rows = 0;
    } seen;
    tx.execute("alter table wide rename to old_wide; alter view failing rename to wide");
    CHECK_THROWS_AS(
        [&] {
            for ([[maybe_unused]] const Wide& row : repository<Wide>{tx}.every().stream())
                ++seen.rows;
        }(),
        tenon::error);
    CHECK(seen.rows > 0); // blocks before the failing one
    CHECK(seen.rows <= 899);
    CHECK_THROWS_AS(tx.commit(), failed_transaction);
}

TEST_CASE("a transaction that ends while a stream is open takes it along") {
    database_fixture t;
    {
        transaction tx(t.db);
        tx.execute(
            "create table wide (id bigint primary key, n bigint not null); insert into wide values (1, 1), (2, 2)");
        tx.commit();
    }
    {
        transaction tx(t.db);
        auto open = repository<Wide>{tx}.every().stream();
        CHECK(open.begin()->id == 1);
    } // the stream goes first, then the transaction
    transaction tx(t.db);
    CHECK(repository<Wide>{tx}.count() == 2);
}
