#include <catch2/catch_test_macros.hpp>

#include <tenon/election/fencing_token.hpp>

using tenon::fencing_token;
using tenon::uuid;

TEST_CASE("tokens are ordered by timeline, then by term; two of one place are unordered") {
    const uuid id = uuid::v4();
    CHECK(fencing_token{1, 9, id} < fencing_token{2, 1, id});
    CHECK(fencing_token{1, 1, id} < fencing_token{1, 2, id});
    CHECK(fencing_token{1, 1, id} == fencing_token{1, 1, id});
    const auto order = fencing_token{1, 1, id} <=> fencing_token{1, 1, uuid::v4()};
    CHECK(order == std::partial_ordering::unordered);
}

TEST_CASE("a token goes through text and back") {
    const fencing_token token{3, 4'000'000'000, uuid::v4()};
    CHECK(fencing_token::parse(token.to_string()) == token);
    for (const char* const bad : {"", "1", "1-2", "1-2-", "-1-2-00000000-0000-4000-8000-000000000000",
                                  "1-x-00000000-0000-4000-8000-000000000000", "1-2-00000000-0000-4000-8000-00000000000",
                                  "99999999999-2-00000000-0000-4000-8000-000000000000"})
        CHECK_FALSE(fencing_token::parse(bad));
}
