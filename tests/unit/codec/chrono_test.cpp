#include <tenon/codec/chrono.hpp>

#include <tenon/codec/scalar.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono;
using namespace std::chrono_literals;

TEST_CASE("the wire counts from 2000-01-01") {
    CHECK(encoded(timestamp{sys_days{2000y / 1 / 1}}) == std::string(8, '\0'));
    CHECK(encoded(date{2000y / 1 / 2}) == std::string("\0\0\0\1", 4));
}

TEST_CASE("times before 1970 and after 2262 keep their microseconds") {
    for (const timestamp time : {timestamp{sys_days{1969y / 12 / 31}} + 1us, timestamp{sys_days{1y / 1 / 1}} - 1us,
                                 timestamp{sys_days{2262y / 4 / 12}} + 999'999us, timestamp{sys_days{9999y / 12 / 31}}})
        CHECK(there_and_back(time) == time);
}

TEST_CASE("infinity stays infinity") {
    CHECK(there_and_back(infinity<timestamp>) == infinity<timestamp>);
    CHECK(there_and_back(minus_infinity<timestamp>) == minus_infinity<timestamp>);
    CHECK(encoded(infinity<timestamp>) == std::string("\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));
    CHECK(there_and_back(infinity<date>) == infinity<date>);
    CHECK(there_and_back(minus_infinity<date>) == minus_infinity<date>);
}

TEST_CASE("a time outside of the other side's range is refused") {
    CHECK_THROWS_AS(encoded(minus_infinity<timestamp> + 1us), encode_error);
    CHECK_THROWS_AS(decoded<timestamp>(encoded(std::int64_t{INT64_MAX - 1})), decode_error);
    CHECK_THROWS_AS(encoded(date{days{3'000'000'000}}), encode_error);
    CHECK_THROWS_AS(decoded<year_month_day>(encoded(std::int32_t{100'000'000})), decode_error);
    CHECK_THROWS_AS(encoded(2023y / 2 / 30), encode_error);
}

TEST_CASE("a timestamp without time zone is a local time") {
    const local_timestamp noon = local_days{1815y / 12 / 10} + 12h + 1us;
    CHECK(there_and_back(noon) == noon);
    CHECK(encoded(local_timestamp{local_days{2000y / 1 / 1}}) == std::string(8, '\0'));
    CHECK(there_and_back(infinity<local_timestamp>) == infinity<local_timestamp>);
    CHECK(shape_of<local_timestamp>.type.id == oids::timestamp);
}

TEST_CASE("no time becomes an infinity by conversion") {
    const microseconds shift = sys_days{2000y / 1 / 1} - sys_days{1970y / 1 / 1};
    CHECK_THROWS_AS(encoded(minus_infinity<timestamp> + shift), encode_error);
    CHECK_THROWS_AS(decoded<timestamp>(encoded((infinity<timestamp> - shift).time_since_epoch().count())),
                    decode_error);
}

TEST_CASE("a calendar day is a date") {
    CHECK(there_and_back(year_month_day{1815y / 12 / 10}) == 1815y / 12 / 10);
    CHECK(encoded(year_month_day{1815y / 12 / 10}) == encoded(date{1815y / 12 / 10}));
}
