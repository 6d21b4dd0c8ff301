#include <tenon/codec/array.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("arrays keep order, emptiness and NULL elements") {
    const std::vector<std::string> words{"a", "", "\xF0\x9F\x90\x98"};
    const std::vector<std::optional<std::int32_t>> gaps{1, std::nullopt, 3};
    CHECK(there_and_back(words) == words);
    CHECK(there_and_back(gaps) == gaps);
    CHECK(there_and_back(std::vector<std::int64_t>{}).empty());
    CHECK(there_and_back(std::vector<bool>{true, false}) == std::vector<bool>{true, false});
}

TEST_CASE("an array is named after its elements") {
    CHECK(shape_of<std::vector<std::int64_t>>.type.name == "bigint[]");
    CHECK(shape_of<std::vector<std::optional<std::string>>>.type.id == oids::text_array);
}

TEST_CASE("every truncation of an array is refused") {
    const std::string whole = encoded(std::vector<std::string>{"one", "two"});
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS_AS(decoded<std::vector<std::string>>(whole.substr(0, size)), decode_error);
}

TEST_CASE("a NULL element needs an optional, and a second dimension more than a vector") {
    CHECK_THROWS_AS(decoded<std::vector<std::int32_t>>(encoded(std::vector<std::optional<std::int32_t>>{std::nullopt})),
                    decode_error);
    std::string two = encoded(std::vector<std::int32_t>{1});
    two[3] = 2;
    CHECK_THROWS_AS(decoded<std::vector<std::int32_t>>(two), decode_error);
}

TEST_CASE("dimensions and lower bounds survive") {
    const array<std::optional<std::int32_t>> matrix{{{2, 1}, {3, -2}}, {1, 2, 3, 4, std::nullopt, 6}};
    CHECK(there_and_back(matrix) == matrix);
    CHECK(matrix.at({1, -2}) == 1);
    CHECK(matrix.at({2, -1}) == std::nullopt);
    CHECK(matrix.at({2, 0}) == 6);
    CHECK_THROWS_AS(matrix.at({2}), std::out_of_range);
    CHECK_THROWS_AS(matrix.at({3, 0}), std::out_of_range);
    CHECK_THROWS_AS(matrix.at({0, 0}), std::out_of_range);
    CHECK(there_and_back(array<bool>{}) == array<bool>{});
    CHECK(shape_of<array<bool>>.type.id == oids::boolean_array);
}

TEST_CASE("a vector reads any lower bound") {
    const array<std::int32_t> shifted{{{2, -7}}, {1, 2}};
    CHECK(decoded<std::vector<std::int32_t>>(encoded(shifted)) == std::vector{1, 2});
}

TEST_CASE("an array's dimensions must hold its elements") {
    using ints = array<std::int32_t>;
    CHECK_THROWS_AS(encoded(ints{{}, {1}}), encode_error);
    CHECK_THROWS_AS(encoded(ints{{{2, 1}}, {1}}), encode_error);
    CHECK_THROWS_AS(encoded(ints{{{-1, 1}, {-1, 1}}, {1}}), encode_error);
    CHECK_THROWS_AS(encoded(ints{{{1, INT32_MAX}}, {1}}), encode_error);
    CHECK_THROWS_AS(encoded(ints{std::vector<array_dimension>(7, {1, 1}), {1}}), encode_error);
}

TEST_CASE("there are no arrays of arrays") {
    STATIC_CHECK_FALSE(column_value<std::vector<std::vector<std::int32_t>>>);
    STATIC_CHECK_FALSE(column_value<std::vector<std::optional<array<bool>>>>);
    STATIC_CHECK(column_value<std::vector<bytes>>);
}

TEST_CASE("an array that claims more elements than it has bytes allocates nothing") {
    std::string liar = encoded(std::vector<std::int32_t>{1});
    liar.replace(12, 4, "\x7F\xFF\xFF\xFF");
    CHECK_THROWS_AS(decoded<std::vector<std::int32_t>>(liar), decode_error);

    std::string dimensions = encoded(array<bool>{{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, {true}});
    for (std::size_t at = 12; at < 60; at += 8)
        dimensions.replace(at, 4, "\x7F\xFF\xFF\xFE");
    CHECK_THROWS_AS(decoded<array<bool>>(dimensions), decode_error);
    CHECK_THROWS_AS(decoded<array<bool>>(encoded(array<bool>{{{1, 1}}, {true}}) + "x"), decode_error);
}
