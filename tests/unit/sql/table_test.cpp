#include <tenon/sql/table.hpp>

#include <optional>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>

namespace {

struct Line {
    std::int64_t order_id;
    std::int32_t position;
    std::optional<std::string> klass{};

    static constexpr auto table = tenon::table("shop.line", tenon::key<&Line::order_id, &Line::position>,
                                               tenon::generated<&Line::position>, tenon::named<&Line::klass, "class">);
};

struct Foreign {
    int a;
    int b;
};

struct NotMapped {
    int a;
};

} // namespace

template <>
struct tenon::mapping<Foreign> {
    static constexpr auto table = tenon::table("foreign_rows", tenon::key<&Foreign::a>);
};

using namespace tenon;

TEST_CASE("a mapping tells columns, key and generated fields") {
    const record_shape& shape = shape_of_record<Line>;
    CHECK(shape.record == "Line");
    CHECK(shape.table == "shop.line");
    REQUIRE(shape.columns.size() == 3);
    CHECK(shape.columns[0].key);
    CHECK_FALSE(shape.columns[0].generated);
    CHECK(shape.columns[1].generated);
    CHECK(shape.columns[2].column == "class");
    CHECK(shape.columns[2].field == "klass");
    CHECK(shape.columns[2].value->nullable);
    STATIC_CHECK(key_size<Line> == 2);
    STATIC_CHECK(std::is_same_v<key_field_type<Line, 1>, std::int32_t>);
    STATIC_CHECK(column_name<&Line::klass> == "class");
}

TEST_CASE("a struct of somebody else is mapped from outside") {
    STATIC_CHECK(mapped_record<Foreign>);
    CHECK(shape_of_record<Foreign>.table == "foreign_rows");
}

TEST_CASE("a struct without a mapping is not mapped") {
    STATIC_CHECK_FALSE(mapped_record<NotMapped>);
}
