#include <string>

#include <catch2/catch_test_macros.hpp>

#include <tenon/version.hpp>

TEST_CASE("the version's text and its numbers are the same version") {
    CHECK(tenon::version_string == std::to_string(tenon::version_major) + "." + std::to_string(tenon::version_minor) +
                                       "." + std::to_string(tenon::version_patch));
}
