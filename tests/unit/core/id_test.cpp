#include <tenon/core/id.hpp>

#include <string>
#include <type_traits>
#include <unordered_set>

#include <catch2/catch_test_macros.hpp>

namespace {
struct User {};
struct Role {};
} // namespace

using tenon::id;

TEST_CASE("ids of different records do not mix, and a bare number is no id") {
    STATIC_CHECK_FALSE(std::is_convertible_v<id<Role>, id<User>>);
    STATIC_CHECK_FALSE(std::is_convertible_v<std::int64_t, id<User>>);
    STATIC_CHECK_FALSE(std::is_convertible_v<id<User>, std::int64_t>);
}

TEST_CASE("ids compare and hash by value") {
    CHECK(id<User>{1} < id<User>{2});
    CHECK(id<User, std::string>{"a"} == id<User, std::string>{"a"});
    CHECK(std::unordered_set<id<User>>{{1}, {2}, {1}}.size() == 2);
}
