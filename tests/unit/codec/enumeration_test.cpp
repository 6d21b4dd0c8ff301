#include <tenon/codec/enumeration.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

namespace {

enum class Colour { red, green = 5, blue };
enum class Level : int { low = -1, high = 1000 };

} // namespace

template <>
inline constexpr auto tenon::enum_labels<Level> = tenon::labels<Level>({{Level::low, "LOW"}, {Level::high, "HIGH"}});

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("an enumerator travels as its name") {
    CHECK(encoded(Colour::green) == "green");
    CHECK(decoded<Colour>("blue") == Colour::blue);
    STATIC_CHECK(enum_labels<Colour>.size() == 3);
}

TEST_CASE("labels can be given by hand") {
    CHECK(encoded(Level::low) == "LOW");
    CHECK(decoded<Level>("HIGH") == Level::high);
}

TEST_CASE("an unknown label or a number without a name is refused") {
    CHECK_THROWS_AS(decoded<Colour>("purple"), decode_error);
    CHECK_THROWS_AS(decoded<Colour>(""), decode_error);
    CHECK_THROWS_AS(codec<Colour>::decode({}), decode_error);
    CHECK_THROWS_AS(encoded(static_cast<Colour>(3)), encode_error);
}
