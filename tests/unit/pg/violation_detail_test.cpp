#include "src/pg/violation_detail.hpp"

#include <string_view>

#include <catch2/catch_test_macros.hpp>

using tenon::detail::columns_in;

TEST_CASE("the columns of a violated key are told as they are named, without values") {
    struct {
        std::string_view detail;
        std::string_view columns;
    } const cases[]{
        {"Key (email)=(ada@example.org) already exists.", "email"},
        {"Key (a, b)=(1, 2) already exists.", "a, b"},
        {"Schl\xc3\xbcssel \xc2\xbb(a, b)=(1, 2)\xc2\xab existiert bereits.", "a, b"},
        {R"(Key ("userId")=(1) already exists.)", "userId"},
        {R"(Key (a, "userId", "order")=(1, 2, 3) already exists.)", "a, userId, order"},
        {R"x(Key ("a ""quoted"" (name)=(")=(1) already exists.)x", R"x(a "quoted" (name)=()x"},
        {"Key (lower(email))=(x) already exists.", "lower(email)"},
        {R"x(Key (COALESCE("userId", '), ('::text), b)=(x, y) already exists.)x",
         R"x(COALESCE("userId", '), ('::text), b)x"},
        {"Key (id)=()=(b)) already exists.", "id"},
        {R"(Key (userId)=(1) is not present in table "Users".)", "userId"}, // a foreign key's: never quoted
        {R"(Key (o"dd)=(1) is not present in table "t".)", "o\"dd"},
        {"Key (it's)=(1) is not present in table \"t\".", "it's"},
        {"Failing row contains (1, null).", ""},
        {"", ""},
        {"Key (", ""},
        {"Key (\"", ""},
        {")=(", ""},
    };
    for (const auto& key : cases) {
        INFO(key.detail);
        CHECK(columns_in(key.detail) == key.columns);
    }
}
