#include <tenon/codec/numeric.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace {

numeric number(std::string_view text) {
    const auto parsed = numeric::parse(text);
    INFO(text);
    REQUIRE(parsed);
    return *parsed;
}

// The wire form by hand: number of digits, weight, sign, scale, digits.
std::string wire_numeric(std::initializer_list<std::uint16_t> words) {
    buffer out;
    for (const std::uint16_t word : words)
        out.put(word);
    return std::string(out.bytes());
}

} // namespace

TEST_CASE("a number is written as it was read, with all its digits") {
    for (const char* text : {"0", "0.00", "1", "1.50", "-1.50", "10000", "9999", "100000000", "0.0001", "0.00001",
                             "12345.678901234567890", "-99999999999999999999999999999999.9999", "0.10",
                             "1000000000000000000000000000000000000000000", "NaN", "Infinity", "-Infinity"}) {
        CHECK(number(text).to_string() == text);
        CHECK(there_and_back(number(text)).to_string() == text);
    }
}

TEST_CASE("what PostgreSQL reads is read, and written in its way") {
    CHECK(number("+1.5").to_string() == "1.5");
    CHECK(number(".5").to_string() == "0.5");
    CHECK(number("5.").to_string() == "5");
    CHECK(number("007").to_string() == "7");
    CHECK(number("1e3").to_string() == "1000");
    CHECK(number("1.55E1").to_string() == "15.5");
    CHECK(number("1.5e-3").to_string() == "0.0015");
    CHECK(number("0e-3").to_string() == "0.000");
    CHECK(number("-0").to_string() == "0");
    CHECK(number("-0.0").to_string() == "0.0");
    CHECK(number("-inf") == numeric::minus_infinity());
    CHECK(number("nan") == numeric::nan());
    for (const char* text : {"", ".", "-", "+-1", "1..2", "1.2.3", "e5", "1e", "1e+", "1e--5", "0x1F", " 1", "1 ",
                             "1_0", "infinit", "--inf", "1e99999999999", "-nan", "."})
        CHECK_FALSE(numeric::parse(text));
}

TEST_CASE("the limits of numeric are held, and no more is taken") {
    std::string longest(131'072, '9');
    longest += '.';
    longest.append(16'383, '9');
    CHECK(there_and_back(number(longest)).to_string() == longest);
    CHECK(there_and_back(number("1e131071")).to_string() == "1" + std::string(131'071, '0'));
    CHECK(there_and_back(number("1e-16383")).to_string() == "0." + std::string(16'382, '0') + "1");
    CHECK_FALSE(numeric::parse("1e131072"));
    CHECK_FALSE(numeric::parse("1e-16384"));
    CHECK_FALSE(numeric::parse(std::string(131'073, '9')));
    std::string zeros(200'000, '0');
    CHECK(number(zeros.append("1")) == 1);
}

TEST_CASE("the wire form is PostgreSQL's") {
    CHECK(encoded(number("12345678.9")) == wire_numeric({3, 1, 0, 1, 1234, 5678, 9000}));
    CHECK(encoded(number("-0.00010")) == wire_numeric({1, 0xFFFF, 0x4000, 5, 1}));
    CHECK(encoded(number("10000")) == wire_numeric({1, 1, 0, 0, 1}));
    CHECK(encoded(number("0.00")) == wire_numeric({0, 0, 0, 2}));
    CHECK(encoded(numeric::nan()) == wire_numeric({0, 0, 0xC000, 0}));
    CHECK(decoded<numeric>(wire_numeric({0, 0, 0xD000, 32})) == numeric::infinity()); // as the server sends it
}

TEST_CASE("integers of every width convert without loss") {
    CHECK(numeric(std::numeric_limits<std::int64_t>::min()).to_string() == "-9223372036854775808");
    CHECK(numeric(std::numeric_limits<std::uint64_t>::max()).to_string() == "18446744073709551615");
    CHECK(numeric(std::int16_t{-7}).to_string() == "-7");
    CHECK(numeric(0) == numeric{});
    CHECK(numeric(1'0000'0000).to_string() == "100000000");
    STATIC_CHECK_FALSE(std::is_constructible_v<numeric, double>);
    STATIC_CHECK_FALSE(std::is_constructible_v<numeric, bool>);
}

TEST_CASE("back to int64 only where nothing is lost") {
    for (const std::int64_t value : {INT64_MIN, INT64_MIN + 1, std::int64_t{-10'000}, std::int64_t{0},
                                     std::int64_t{9999}, std::int64_t{10'000'000'000}, INT64_MAX})
        CHECK(numeric(value).to_int64() == value);
    CHECK(number("5.00").to_int64() == 5);
    for (const char* text : {"9223372036854775808", "-9223372036854775809", "0.5", "10000.0001", "1e30", "NaN", "inf"})
        CHECK_FALSE(number(text).to_int64());
}

TEST_CASE("back to the nearest double, within its range") {
    CHECK(number("0.1").to_double() == 0.1);
    CHECK(number("-1e300").to_double() == -1e300);
    CHECK(number("1e-400").to_double() == 0.0);
    CHECK_FALSE(number("1e400").to_double());
    CHECK(std::isnan(number("NaN").to_double().value()));
    CHECK(numeric::minus_infinity().to_double() == -std::numeric_limits<double>::infinity());
}

TEST_CASE("order is by value, with NaN last") {
    const std::vector<numeric> ascending{numeric::minus_infinity(),
                                         number("-1e10"),
                                         number("-10000.5"),
                                         number("-10000"),
                                         number("-0.0001"),
                                         0,
                                         number("0.0001"),
                                         number("0.5"),
                                         1,
                                         number("1.0001"),
                                         10'000,
                                         number("1e10"),
                                         numeric::infinity(),
                                         numeric::nan()};
    for (std::size_t i = 0; i < ascending.size(); ++i)
        for (std::size_t j = 0; j < ascending.size(); ++j) {
            CHECK((ascending[i] <=> ascending[j]) == (i <=> j));
            CHECK((ascending[i] == ascending[j]) == (i == j));
        }
    CHECK(number("1.5") == number("1.50"));
    CHECK(-number("1.5") == number("-1.50"));
    CHECK(-number("0") == 0);
    CHECK(number("-2").sign() == -1);
    CHECK(number("1.50").scale() == 2);
}

TEST_CASE("other forms of a number are brought into one, as the server does") {
    CHECK(decoded<numeric>(wire_numeric({3, 1, 0, 0, 0, 5, 0})) == 5);
    CHECK(decoded<numeric>(wire_numeric({1, 0, 0x4000, 0, 0})).to_string() == "0");
    const numeric cut = decoded<numeric>(wire_numeric({2, 0, 0, 2, 1, 2345})); // digits past the scale
    CHECK(cut.to_string() == "1.23");
    CHECK(cut == number("1.23"));
    CHECK(decoded<numeric>(wire_numeric({1, 0x8000, 0, 2, 1})) == 0);
}

TEST_CASE("malformed numbers are refused") {
    for (const auto& bytes :
         {wire_numeric({}), wire_numeric({0, 0, 0}), wire_numeric({1, 0, 0, 0}), wire_numeric({0, 0, 0, 0, 1}),
          wire_numeric({1, 0, 0, 0, 10'000}), wire_numeric({1, 0, 0x1234, 0, 1}), wire_numeric({1, 0, 0, 0x4000, 1}),
          wire_numeric({0xFFFF, 0, 0, 0, 1})})
        CHECK_THROWS_AS(decoded<numeric>(bytes), decode_error);
    CHECK_THROWS_AS(codec<numeric>::decode({}), decode_error);
}
