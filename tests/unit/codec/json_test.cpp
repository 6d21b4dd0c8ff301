#include <tenon/codec/json.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using nlohmann::json;
using namespace tenon;
using namespace tenon::tests;

TEST_CASE("json is sent as jsonb and read as either") {
    const json value{{"a", {1, 2.5, nullptr}}, {"b", "\xF0\x9F\x90\x98"}};
    CHECK(encoded(value)[0] == 1);
    CHECK(there_and_back(value) == value);
    CHECK(decoded<json>("{\"a\": 1}") == json{{"a", 1}});
}

TEST_CASE("what is not JSON is refused") {
    CHECK_THROWS_AS(decoded<json>(""), decode_error);
    CHECK_THROWS_AS(decoded<json>("\x01"), decode_error);
    CHECK_THROWS_AS(decoded<json>("\x01{\"a\":"), decode_error);
    CHECK_THROWS_AS(encoded(json("\xFF")), encode_error);
}
