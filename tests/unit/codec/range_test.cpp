#include <tenon/codec/range.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;
using ints = range<std::int32_t>;

namespace {
struct celsius {
    double degrees{};
};
} // namespace

template <>
struct tenon::codec<celsius> : codec<double> {
    static void encode(celsius value, buffer& out) { tenon::encode(value.degrees, out); }
    static celsius decode(wire_value value) { return {codec<double>::decode(value)}; }
};
template <>
inline constexpr tenon::pg_type tenon::range_type<celsius> = {"heat"};

TEST_CASE("bounds, their kinds and emptiness survive") {
    for (const ints& value :
         {ints{}, ints::none(), ints{.lower = 1, .upper = 10}, ints{.lower = 1, .upper = 1, .upper_inclusive = true},
          ints{.lower = 1, .lower_inclusive = false}, ints{.upper = 9, .upper_inclusive = true}})
        CHECK(there_and_back(value) == value);
    CHECK(encoded(ints{.lower = 1, .upper = 10}) == std::string("\2\0\0\0\4\0\0\0\1\0\0\0\4\0\0\0\x0A", 17));
    CHECK(encoded(ints::none()) == "\1");
}

TEST_CASE("an unbounded side has no kind, and an empty range no bounds") {
    CHECK(ints{.upper = 1, .lower_inclusive = false} == ints{.upper = 1});
    CHECK(ints{.lower = 1, .empty = true} == ints::none());
    CHECK(ints{} != ints::none());
}

TEST_CASE("a range knows what it contains") {
    const ints half_open{.lower = 1, .upper = 10};
    CHECK(half_open.contains(1));
    CHECK_FALSE(half_open.contains(10));
    CHECK_FALSE(half_open.contains(0));
    CHECK(ints{}.contains(INT32_MIN));
    CHECK_FALSE(ints::none().contains(1));
}

TEST_CASE("ranges are named after PostgreSQL's, and one's own can be added") {
    CHECK(shape_of<range<std::int64_t>>.type.name == "int8range");
    CHECK(shape_of<range<timestamp>>.type.id == oids::tstzrange);
    CHECK(shape_of<range<std::chrono::year_month_day>>.type.id == oids::daterange);
    CHECK(shape_of<std::vector<range<numeric>>>.type.id == oids::numrange_array);
    CHECK(shape_of<range<celsius>>.type.name == "heat");
    STATIC_CHECK_FALSE(column_value<range<std::string>>);
    STATIC_CHECK_FALSE(column_value<range<std::optional<std::int32_t>>>);
}

TEST_CASE("malformed ranges are refused") {
    const std::string whole = encoded(ints{.lower = 1, .upper = 10});
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS_AS(decoded<ints>(whole.substr(0, size)), decode_error);
    CHECK_THROWS_AS(decoded<ints>(whole + "x"), decode_error);
    CHECK_THROWS_AS(decoded<ints>("\x01x"), decode_error);
    CHECK_THROWS_AS(decoded<ints>("\x20"), decode_error);
    CHECK_THROWS_AS(decoded<ints>(std::string("\x10\xFF\xFF\xFF\xFF", 5)), decode_error); // a NULL bound
    CHECK_THROWS_AS(decoded<ints>(std::string("\x10\x7F\xFF\xFF\xFF", 5)), decode_error);
    CHECK_THROWS_AS(codec<ints>::decode({}), decode_error);
}
