#include <tenon/codec/scalar.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEMPLATE_TEST_CASE("numbers keep their limits", "", std::int16_t, std::int32_t, std::int64_t, float, double) {
    using limits = std::numeric_limits<TestType>;
    for (const TestType value : {limits::min(), limits::max(), limits::lowest(), TestType{0}, TestType{1}})
        CHECK(there_and_back(value) == value);
}

TEST_CASE("integers travel in network byte order") {
    CHECK(encoded(std::int32_t{0x01020304}) == std::string("\x01\x02\x03\x04"));
    CHECK(encoded(std::int16_t{-2}) == std::string("\xFF\xFE"));
}

TEST_CASE("floating point keeps NaN, infinities and the sign of zero") {
    CHECK(std::isnan(there_and_back(std::numeric_limits<double>::quiet_NaN())));
    CHECK(there_and_back(-std::numeric_limits<double>::infinity()) == -std::numeric_limits<double>::infinity());
    CHECK(std::signbit(there_and_back(-0.0)));
    CHECK(there_and_back(std::numeric_limits<float>::denorm_min()) == std::numeric_limits<float>::denorm_min());
}

TEST_CASE("a wider field reads a narrower column") {
    CHECK(decoded<std::int64_t>(encoded(std::int32_t{-5})) == -5);
    CHECK(decoded<std::int64_t>(encoded(std::int16_t{-5})) == -5);
    CHECK(decoded<std::int32_t>(encoded(std::int16_t{-5})) == -5);
    CHECK(decoded<double>(encoded(0.5F)) == 0.5);
}

TEMPLATE_TEST_CASE("a wrong size or NULL is refused, never read", "", bool, std::int16_t, std::int32_t, std::int64_t,
                   float, double) {
    CHECK_THROWS_AS(decoded<TestType>(""), decode_error);
    CHECK_THROWS_AS(decoded<TestType>("abc"), decode_error);
    CHECK_THROWS_AS(decoded<TestType>(std::string(100, 'x')), decode_error);
    CHECK_THROWS_AS(codec<TestType>::decode(wire_value{}), decode_error);
}

TEST_CASE("a narrower field does not read a wider column") {
    CHECK_THROWS_AS(decoded<std::int32_t>(encoded(std::int64_t{1})), decode_error);
    CHECK_THROWS_AS(decoded<float>(encoded(1.0)), decode_error);
}
