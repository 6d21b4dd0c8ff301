// Behind a pooler in transaction mode a cancel request names a client, whose server connection may be another's by
// then.
#include <chrono>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>
#include <tenon/pg/pool.hpp>
#include <tenon/testing/cluster.hpp>

#include "support/bouncer.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

TEST_CASE("behind a pooler a missed deadline is told as such, and ends nobody else's statement") {
    if (!bouncer::is_installed())
        SKIP("pgbouncer is not installed");
    const testing::cluster server;
    const bouncer between(server, "postgres", false);
    pool pooled{between.url(), {.max_size = 2, .connection = {.statement_cache = 0}}};
    REQUIRE(between.serves(pooled));
    pool others{between.url(), {.max_size = 2, .connection = {.statement_cache = 0}}};
    for (int i = 0; i < 30; ++i) {
        CHECK_THROWS_AS(pooled.transact({.deadline = 20ms}, [](transaction& tx) { tx.execute("select pg_sleep(60)"); }),
                        deadline_exceeded);
        CHECK_NOTHROW(pooled.transact([](transaction& tx) { tx.execute("select pg_sleep(0.01)"); }));
        CHECK_NOTHROW(others.transact([](transaction& tx) { tx.execute("select pg_sleep(0.01)"); }));
    }
}
