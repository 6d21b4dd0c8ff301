#include <tenon/reflect/field.hpp>

#include <optional>
#include <string>

#include <catch2/catch_test_macros.hpp>

namespace {

struct Mixed {
    int first;
    int second;
    std::string text;
    std::optional<std::string> maybe;
    const int constant = 7;
    static constexpr int not_a_field = 1;
};

} // namespace

using namespace tenon;

TEST_CASE("a member pointer knows its field among fields of the same type") {
    STATIC_CHECK(field_count<Mixed> + Mixed::not_a_field == 6);
    STATIC_CHECK(field_index<&Mixed::first> == 0);
    STATIC_CHECK(field_index<&Mixed::second> == 1);
    STATIC_CHECK(field_index<&Mixed::maybe> == 3);
    STATIC_CHECK(field_index<&Mixed::constant> == 4);
    STATIC_CHECK(field_name<Mixed, field_index<&Mixed::maybe>> == "maybe");
    STATIC_CHECK(std::is_same_v<field_type<Mixed, 2>, std::string>);
}

TEST_CASE("a field is read by its number") {
    const Mixed value{1, 2, "three", std::nullopt};
    CHECK(field<1>(value) == 2);
    CHECK(field<2>(value) == "three");
}
