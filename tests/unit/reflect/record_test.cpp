#include <tenon/reflect/record.hpp>

#include <string>

#include <catch2/catch_test_macros.hpp>

namespace {

struct Plain {
    int number;
    std::string text{};
};
struct Base {
    int number;
};
struct Derived : Base {
    int more;
};
struct OnlyBase : Base {};
class Encapsulated {
public:
    int visible{};

private:
    [[maybe_unused]] int hidden{};
};
struct Constructed {
    explicit Constructed(int n) : number(n) {}
    int number;
};
struct Empty {};
struct HoldsPlain {
    Plain plain;
};

} // namespace

using tenon::record;

TEST_CASE("a plain aggregate is a record") {
    STATIC_CHECK(record<Plain>);
    STATIC_CHECK(record<HoldsPlain>);
}

TEST_CASE("bases, constructors, private fields and emptiness make it none") {
    STATIC_CHECK_FALSE(record<Derived>);
    STATIC_CHECK_FALSE(record<OnlyBase>);
    STATIC_CHECK_FALSE(record<Encapsulated>);
    STATIC_CHECK_FALSE(record<Constructed>);
    STATIC_CHECK_FALSE(record<Empty>);
    STATIC_CHECK_FALSE(record<int>);
    STATIC_CHECK_FALSE(record<std::string>);
}
