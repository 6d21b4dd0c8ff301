#include <tenon/codec/json_text.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("JSON text is sent as jsonb and read as either") {
    const json_text value{R"({"a": [1, 2.5, null]})"};
    CHECK(encoded(value) == "\1" + value.text);
    CHECK(there_and_back(value) == value);
    CHECK(decoded<json_text>(value.text) == value);
    CHECK(json_text{}.text == "null");
}

TEST_CASE("no bytes, another version and NUL are no JSON") {
    CHECK_THROWS_AS(decoded<json_text>(""), decode_error);
    CHECK_THROWS_AS(decoded<json_text>("\2{}"), decode_error);
    CHECK_THROWS_AS(codec<json_text>::decode({}), decode_error);
    CHECK_THROWS_AS(encoded(json_text{std::string("\0", 1)}), encode_error);
}
