// Behind a pooler an election refuses, and says what to do.
#include <chrono>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/election/election.hpp>
#include <tenon/pg/install.hpp>
#include <tenon/pg/listener.hpp>
#include <tenon/testing/cluster.hpp>

#include "support/bouncer.hpp"
#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

TEST_CASE(
    "an election through a connection that does not keep its session refuses with advice, whatever the pooler drops") {
    if (!bouncer::is_installed())
        SKIP("pgbouncer is not installed");
    const bool drops_options = GENERATE(false, true);
    const testing::cluster server;
    {
        connection db{server.url()};
        db.transact([](transaction& tx) { install(tx); });
    }
    const bouncer between(server, "postgres", drops_options);
    pool pooled{between.url(), {.connection = {.statement_cache = 0}}};
    REQUIRE(between.serves(pooled));
    election job{pooled, "job", {.lease = 10s, .poll = 50ms}};
    CHECK_THROWS_WITH(job.campaign({}), ContainsSubstring("pooler") && ContainsSubstring("election_options::conninfo"));
    CHECK_THROWS_AS(job.campaign({}), session_not_dedicated);

    CHECK_THROWS_AS(listener(between.url(), {"changes"}), session_not_dedicated);

    // With a direct connection for the election, its transactions may go through the pooler.
    election direct{pooled, "job", {.lease = 10s, .poll = 50ms, .conninfo = server.url()}};
    const auto leadership = direct.campaign({});
    REQUIRE(leadership);
    CHECK_NOTHROW(leadership->transact([](transaction& tx) { tx.execute("create table work (n int)"); }));
}

TEST_CASE("a session of its own is no pooler") {
    database_fixture t;
    t.db.transact([](transaction& tx) { install(tx); });
    pool pooled{t.database.url()};
    election job{pooled, "job", {.lease = 10s, .poll = 50ms}};
    CHECK(job.campaign({}));
}
