#include <tenon/core/error.hpp>

#include <type_traits>

#include <catch2/catch_test_macros.hpp>

using namespace tenon;

TEST_CASE("only serialization failures and deadlocks are retryable") {
    CHECK(serialization_failure("x", {.sqlstate = "40001"}).retryable());
    CHECK(deadlock_detected("x", {.sqlstate = "40P01"}).retryable());
    CHECK_FALSE(unique_violation("x", {.sqlstate = "23505"}).retryable());
    CHECK_FALSE(connection_lost("x").retryable());
    CHECK_FALSE(connection_lost("x", {.sqlstate = "40001", .outcome_unknown = true}).retryable());
}

TEST_CASE("an error keeps its properties when it is copied and caught as its root") {
    const unique_violation original("no", {.sqlstate = "23505", .constraint = "users_email_key", .column = "email"});

    const error& copy = constraint_violation(original);

    CHECK(copy.sqlstate() == "23505");
    CHECK(copy.constraint() == "users_email_key");
    CHECK(copy.column() == "email");
    CHECK_FALSE(copy.outcome_unknown());
    STATIC_CHECK(std::is_nothrow_copy_constructible_v<unique_violation>);
}
