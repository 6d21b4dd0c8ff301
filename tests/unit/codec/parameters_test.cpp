#include <tenon/codec/parameters.hpp>

#include <string>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>

using namespace tenon;

TEST_CASE("values keep their places however much is added") {
    parameter_list<3> list;
    const std::string text = "text";
    list.add(std::int32_t{7});
    list.add(text);
    list.add(std::vector<std::int64_t>(1000, 1)); // outgrows the inline buffer, which moves the first value

    REQUIRE(list.size() == 3);
    CHECK(std::string(list.values()[0], 4) == std::string("\0\0\0\7", 4));
    CHECK(list.values()[1] == text.data());
    CHECK(list.lengths()[2] == 20 + 1000 * 12);
}

TEST_CASE("NULL is no pointer, and empty is one") {
    parameter_list<3> list;
    list.add(std::optional<std::string>{});
    list.add(std::optional<std::string>{""});
    list.add(bytes{});

    CHECK(list.values()[0] == nullptr);
    CHECK(list.values()[1] != nullptr);
    CHECK(list.values()[2] != nullptr);
    CHECK(list.lengths()[2] == 0);
}
