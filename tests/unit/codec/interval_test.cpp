#include <tenon/codec/interval.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono;
using namespace std::chrono_literals;

TEST_CASE("an interval keeps months, days and microseconds apart") {
    const interval value{.months = 14, .days = -3, .microseconds = 1};
    CHECK(there_and_back(value) == value);
    CHECK(encoded(value) == std::string("\0\0\0\0\0\0\0\1\xFF\xFF\xFF\xFD\0\0\0\x0E", 16));
    CHECK(interval{.months = 1} != interval{.days = 30});
}

TEST_CASE("infinity is the greatest and the least of all three parts") {
    CHECK(there_and_back(infinity<interval>) == infinity<interval>);
    CHECK(there_and_back(minus_infinity<interval>) == minus_infinity<interval>);
}

TEST_CASE("an exact span converts") {
    STATIC_CHECK(interval::of(90min) == interval{.microseconds = 5'400'000'000});
    CHECK(there_and_back(microseconds{-90min}) == -90min);
    CHECK(encoded(microseconds{1h}) == encoded(interval::of(1h)));
}

TEST_CASE("months and days are no duration") {
    CHECK_THROWS_AS(decoded<microseconds>(encoded(interval{.months = 1})), decode_error);
    CHECK_THROWS_AS(decoded<microseconds>(encoded(interval{.days = 1})), decode_error);
    CHECK_THROWS_AS(decoded<interval>(std::string(15, '\0')), decode_error);
    CHECK_THROWS_AS(codec<interval>::decode({}), decode_error);
}
