// How long a read waits for a replica.
#include <chrono>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <tenon/pg/pool.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/testing/cluster.hpp>
#include <tenon/testing/gate.hpp>

#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

TEST_CASE("a wait for a replica may be for ever, and a replica that falls silent is left for the primary") {
    testing::cluster primary;
    testing::cluster standby = primary.standby();
    testing::gate gate{standby.url()};
    pool db{"host=" + primary.socket_directory().string() + ",127.0.0.1 port=" + std::to_string(primary.port()) + "," +
                std::to_string(gate.port()) + " user=postgres dbname=postgres gssencmode=disable",
            {.max_size = 2}};
    const auto read_from = [&](const read_options& how) {
        return db.read_only(how, [](transaction& tx) {
            return query<bool>{"select pg_catalog.pg_is_in_recovery()"}.one(tx) ? host_role::replica
                                                                                : host_role::primary;
        });
    };
    REQUIRE(eventually([&] { return read_from({}) == host_role::replica; }));
    constexpr auto for_ever = std::chrono::milliseconds::max();
    CHECK(read_from({.max_lag = for_ever, .patience = for_ever}) == host_role::replica);
    db.transact([](transaction& tx) { tx.execute("create table t (n int)"); });
    CHECK(read_from({.after = db.position(), .patience = for_ever}) == host_role::replica);

    const wal_position written = db.position();
    gate.black_hole();
    CHECK(read_from({.after = written, .patience = 10ms}) == host_role::primary);
    gate.open();
}
