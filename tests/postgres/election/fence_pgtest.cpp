// Tokens in the hands of others: services that receive one, and resources in another database.
#include <catch2/catch_test_macros.hpp>

#include <tenon/election/election.hpp>
#include <tenon/election/fence_guard.hpp>
#include <tenon/pg/install.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

namespace {

struct fenced : database_fixture {
    fenced() {
        db.transact([](transaction& tx) { install(tx); });
    }
    void admit(const fence_guard& guard, const fencing_token& token) {
        db.transact([&](transaction& tx) { guard.admit(tx, token); });
    }
};

} // namespace

TEST_CASE("a service that was given a token writes while its term lasts, and not after it") {
    fenced t;
    pool pooled{t.database.url()};
    election job{pooled, "job", {.lease = 10s, .poll = 50ms}};
    const auto leadership = job.campaign({});
    const fencing_token token = fencing_token::parse(leadership->token().to_string()).value();
    CHECK_NOTHROW(t.db.transact([&](transaction& tx) { require_token(tx, "job", token); }));
    CHECK_THROWS_AS(t.db.transact([&](transaction& tx) { require_token(tx, "other", token); }), fenced_out);
    t.run("update tenon.election_term set term = term + 1, id = gen_random_uuid()");
    CHECK_THROWS_AS(t.db.transact([&](transaction& tx) { require_token(tx, "job", token); }), fenced_out);
}

TEST_CASE("a term of the same number but of another history is refused") {
    fenced t;
    pool pooled{t.database.url()};
    election job{pooled, "job", {.lease = 10s, .poll = 50ms}};
    const auto leadership = job.campaign({});
    t.run("update tenon.election_term set id = gen_random_uuid()"); // as a standby that missed the term would have it
    CHECK_THROWS_AS(leadership->transact([](transaction& tx) { tx.execute("select 1"); }), fenced_out);
}

TEST_CASE("a guard admits the highest token that it has seen, and refuses lower ones and strangers") {
    fenced t;
    const fence_guard disk{"disk"};
    const fencing_token second{.timeline = 1, .term = 2, .id = uuid::v4()};
    t.admit(disk, second);
    t.admit(disk, second);
    CHECK_THROWS_AS(t.admit(disk, {.timeline = 1, .term = 1, .id = uuid::v4()}), fenced_out);
    CHECK_THROWS_AS(t.admit(disk, {.timeline = 1, .term = 2, .id = uuid::v4()}), fenced_out);
    t.admit(disk, {.timeline = 2, .term = 1, .id = uuid::v4()}); // a promotion: a later history
    CHECK_THROWS_AS(t.admit(disk, second), fenced_out);
    CHECK_NOTHROW(t.admit(fence_guard{"another disk"}, second));
}
