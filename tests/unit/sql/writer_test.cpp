#include <tenon/sql/writer.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace tenon;

namespace {

struct node {
    static constexpr void render(sql_writer& out) {
        out.put("select ").identifier("we\"ird").put(" from ").table("app.users");
        for (int i = 0; i < 11; ++i)
            out.put(" ").parameter();
    }
};

} // namespace

TEST_CASE("SQL is a constant: names quoted, placeholders counted") {
    STATIC_CHECK(sql_text<node> == R"(select "we""ird" from "app"."users" $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11)");
}
