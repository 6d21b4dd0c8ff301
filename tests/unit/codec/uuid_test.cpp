#include <tenon/codec/uuid.hpp>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("a uuid reads what it writes") {
    const auto id = uuid::parse("018f4e9C-7a3b-7Cde-8f01-23456789aBcd");
    REQUIRE(id);
    CHECK(id->to_string() == "018f4e9c-7a3b-7cde-8f01-23456789abcd");
    CHECK(there_and_back(*id) == *id);
}

TEST_CASE("anything else is no uuid") {
    for (const char* text : {"", "018f4e9c7a3b7cde8f0123456789abcd", "018f4e9c-7a3b-7cde-8f01-23456789abc",
                             "018f4e9c-7a3b-7cde-8f01-23456789abcdd", "018f4e9c-7a3b-7cde-8f01-23456789abcg",
                             "018f4e9c+7a3b-7cde-8f01-23456789abcd"})
        CHECK_FALSE(uuid::parse(text));
    CHECK_THROWS_AS(decoded<uuid>(std::string(15, 'x')), decode_error);
    CHECK_THROWS_AS(decoded<uuid>(std::string(17, 'x')), decode_error);
}

TEST_CASE("versions and variant are marked as RFC 9562 has it") {
    CHECK(uuid::v4().to_string()[14] == '4');
    CHECK(uuid::v7().to_string()[14] == '7');
    for (int i = 0; i < 100; ++i) {
        CHECK((uuid::v4().bytes[8] & 0xC0) == 0x80);
        CHECK((uuid::v7().bytes[8] & 0xC0) == 0x80);
    }
}

TEST_CASE("version 7 tells its time, others do not") {
    using namespace std::chrono;
    const auto before = floor<milliseconds>(system_clock::now());
    const auto time = uuid::v7().time();
    REQUIRE(time);
    CHECK(*time >= before);
    CHECK(*time <= system_clock::now() + seconds(1)); // it may run ahead of a burst by a little
    CHECK_FALSE(uuid::v4().time());
}

TEST_CASE("version 7 only grows, and is unique over threads") {
    std::vector<std::vector<uuid>> made(4);
    {
        std::vector<std::jthread> threads;
        for (auto& list : made)
            threads.emplace_back([&list] {
                for (int i = 0; i < 5000; ++i)
                    list.push_back(uuid::v7());
            });
    }
    std::set<uuid> all;
    for (const auto& list : made) {
        CHECK(std::ranges::is_sorted(list));
        all.insert(list.begin(), list.end());
    }
    CHECK(all.size() == 20'000);
}
