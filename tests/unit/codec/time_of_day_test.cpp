#include <tenon/codec/time_of_day.hpp>

#include <tenon/codec/scalar.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

TEST_CASE("a day begins at 00:00 and ends with 24:00") {
    for (const time_of_day time : {time_of_day{}, time_of_day{8h + 30min + 1us}, time_of_day{24h}})
        CHECK(there_and_back(time) == time);
    CHECK(time_of_day{8h} < time_of_day{8h + 1us});
}

TEST_CASE("a time outside of the day is refused") {
    CHECK_THROWS_AS(encoded(time_of_day{-1us}), encode_error);
    CHECK_THROWS_AS(encoded(time_of_day{24h + 1us}), encode_error);
    CHECK_THROWS_AS(decoded<time_of_day>(encoded(std::int64_t{-1})), decode_error);
    CHECK_THROWS_AS(decoded<time_of_day>(encoded(std::int64_t{86'400'000'001})), decode_error);
    CHECK_THROWS_AS(decoded<time_of_day>("1234567"), decode_error);
}
