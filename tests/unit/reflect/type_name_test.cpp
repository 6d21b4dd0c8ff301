#include <tenon/reflect/type_name.hpp>

#include <vector>

#include <catch2/catch_test_macros.hpp>

namespace outer::inner {
struct Thing {};
template <class T>
struct Box {};
} // namespace outer::inner

using namespace tenon;

TEST_CASE("a type is named as its author wrote it") {
    STATIC_CHECK(qualified_type_name<outer::inner::Thing> == "outer::inner::Thing");
    STATIC_CHECK(type_name<outer::inner::Thing> == "Thing");
    STATIC_CHECK(type_name<outer::inner::Box<outer::inner::Thing>> == "Box<outer::inner::Thing>");
    STATIC_CHECK(type_name<int> == "int");
}
