#include <tenon/codec/inet.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("addresses are written as they are read, and survive") {
    for (const char* text : {"192.0.2.1", "192.0.2.1/24", "0.0.0.0/0", "255.255.255.255", "::", "::1", "2001:db8::1/64",
                             "::ffff:192.0.2.1", "fe80::1:2:3:4/10", "::/0"}) {
        const auto address = inet::parse(text);
        REQUIRE(address);
        CHECK(address->to_string() == text);
        CHECK(there_and_back(*address) == *address);
    }
    CHECK(inet::parse("192.0.2.1/32")->to_string() == "192.0.2.1");
    CHECK(inet::parse("2001:DB8:0:0:0:0:0:1")->to_string() == "2001:db8::1");
}

TEST_CASE("anything else is no address") {
    for (const char* text : {"", "/", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1",
                             "::/129", ":::", "1.2.3.4/8x", "::1%eth0", "host", "1.2.3.4 "})
        CHECK_FALSE(inet::parse(text));
    CHECK_FALSE(inet::parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST_CASE("the wire form is PostgreSQL's, and a cidr shows its prefix") {
    CHECK(encoded(*inet::parse("10.1.2.3/8")) == std::string("\2\x08\0\4\x0A\1\2\3", 8));
    const inet network = decoded<inet>(std::string("\2\x20\1\4\x0A\1\2\3", 8));
    CHECK(network.is_cidr);
    CHECK(network.to_string() == "10.1.2.3/32");
    CHECK(shape_of<inet>.fits(oids::cidr));
}

TEST_CASE("parts that do not fit each other are refused") {
    for (const auto& bytes : {std::string("\3\x08\0\4\x0A\1\2\3", 8), std::string("\2\x21\0\4\x0A\1\2\3", 8),
                              std::string("\2\x08\0\5\x0A\1\2\3", 8), std::string("\2\x08\0\4\x0A\1\2", 7),
                              std::string(20, '\2'), std::string()})
        CHECK_THROWS_AS(decoded<inet>(bytes), decode_error);
    CHECK_THROWS_AS(codec<inet>::decode({}), decode_error);
    CHECK_THROWS_AS(encoded(inet{.prefix = 33}), encode_error);
    inet trailing;
    trailing.bytes[4] = 1;
    CHECK_THROWS_AS(encoded(trailing), encode_error);
}
