#include <tenon/codec/multirange.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;
using ints = multirange<std::int64_t>;

TEST_CASE("the ranges of a multirange survive in their order") {
    const ints value{{{.upper = 0}, {.lower = 1, .upper = 2}, {.lower = 10}}};
    CHECK(there_and_back(value) == value);
    CHECK(there_and_back(ints{}) == ints{});
    CHECK(value.contains(11));
    CHECK_FALSE(value.contains(5));
    CHECK(shape_of<std::vector<ints>>.type.id == oids::int8multirange_array);
}

TEST_CASE("malformed multiranges are refused, and liars allocate nothing") {
    const std::string whole = encoded(ints{{{.lower = 1, .upper = 2}, {.lower = 10}}});
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS_AS(decoded<ints>(whole.substr(0, size)), decode_error);
    CHECK_THROWS_AS(decoded<ints>(whole + "x"), decode_error);
    CHECK_THROWS_AS(decoded<ints>("\x7F\xFF\xFF\xFF"), decode_error);
    CHECK_THROWS_AS(decoded<ints>("\xFF\xFF\xFF\xFF"), decode_error);
}
