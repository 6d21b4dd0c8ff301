#include <tenon/codec/text.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("text is sent as it is") {
    CHECK(encoded(std::string("gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\x98")) == "gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\x98");
    CHECK(there_and_back(std::string()).empty());
}

TEST_CASE("text with an embedded NUL is refused, with the remedy and without the text") {
    const std::string secret("hush\0hush", 9);
    try {
        (void)encoded(secret);
        FAIL("accepted");
    } catch (const encode_error& refused) {
        const std::string message = refused.what();
        CHECK(message.find("NUL") != std::string::npos);
        CHECK(message.find("tenon::bytes") != std::string::npos);
        CHECK(message.find("hush") == std::string::npos);
    }
}

TEST_CASE("bytea holds every byte") {
    bytes all(256);
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<std::byte>(i);
    CHECK(there_and_back(all) == all);
    CHECK(there_and_back(bytes{}).empty());
}

TEST_CASE("NULL is neither text nor bytea") {
    CHECK_THROWS_AS(codec<std::string>::decode({}), decode_error);
    CHECK_THROWS_AS(codec<bytes>::decode({}), decode_error);
}
