#include <tenon/codec/view.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("a view points into the result") {
    const std::string row = "text of the row";
    CHECK(codec<std::string_view>::decode(wire(row)).data() == row.data());
    const bytes_view view = codec<bytes_view>::decode(wire(row));
    CHECK(static_cast<const void*>(view.data()) == row.data());
    CHECK(view.size() == row.size());
}

TEST_CASE("a view is sent like what it views, and refuses the same") {
    CHECK(encoded(std::string_view("text")) == "text");
    CHECK_THROWS_AS(encoded(std::string_view("a\0b", 3)), encode_error);
    CHECK_THROWS_AS(codec<std::string_view>::decode({}), decode_error);
    CHECK_THROWS_AS(codec<bytes_view>::decode({}), decode_error);
    CHECK(shape_of<std::string_view>.type.id == oids::text);
    CHECK(shape_of<bytes_view>.type.id == oids::bytea);
}

TEST_CASE("what holds a view is known to borrow") {
    STATIC_CHECK(borrowed_value<std::string_view>);
    STATIC_CHECK(borrowed_value<std::optional<bytes_view>>);
    STATIC_CHECK(borrowed_value<std::vector<std::string_view>>);
    STATIC_CHECK_FALSE(borrowed_value<std::string>);
    STATIC_CHECK_FALSE(borrowed_value<std::vector<std::int32_t>>);
}
