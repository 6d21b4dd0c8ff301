// What candidates cost the database, and what they must not disturb.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <tenon/election/election.hpp>
#include <tenon/pg/install.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/testing/gate.hpp>

#include "postgres/testing/ask.hpp"
#include "support/database_fixture.hpp"
#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

namespace {

constexpr int crowd_size = 50;
constexpr auto poll_interval = 200ms;

/// Fifty candidates for one name, one of which leads.
struct crowd : database_fixture {
    testing::gate gate{database.url()};
    pool pooled{gate.url(), {.max_size = 2}};
    std::stop_source stop;
    std::vector<std::jthread> threads;

    crowd() {
        db.transact([](transaction& tx) { install(tx); });
        for (int i = 0; i < crowd_size; ++i)
            threads.emplace_back([this, i] {
                election job{pooled, "job", {.candidate = std::to_string(i), .lease = 4s, .poll = poll_interval}};
                while (const auto leadership = job.campaign(stop.get_token()))
                    while (leadership->held())
                        std::this_thread::sleep_for(1ms);
            });
        REQUIRE(eventually([this] {
            return db.transact([](transaction& tx) { return candidates_of(tx, "job"); }) == crowd_size &&
                   db.transact([](transaction& tx) { return leader_of(tx, "job"); });
        }));
    }
    ~crowd() { stop.request_stop(); }
};

} // namespace

TEST_CASE("fifty candidates send no more statements than twice in a poll interval each") {
    crowd c;
    const auto since = std::chrono::steady_clock::now();
    c.gate.reset_counters();
    std::this_thread::sleep_for(2s); // the window that is counted: a longer one counts more and may hold more
    CHECK(eventually([&] { return c.gate.round_trips() > crowd_size; })); // they do ask
    const auto statements = static_cast<double>(c.gate.round_trips());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
    constexpr double per_second = crowd_size * 2 / std::chrono::duration<double>(poll_interval).count();
    CAPTURE(statements, seconds);
    CHECK(statements <= per_second * seconds + crowd_size + 4.0); // and each may have just begun
}

TEST_CASE("waiting candidates hold back no vacuum and no index that is created concurrently") {
    crowd c;
    c.run("create table work (n int); insert into work select generate_series(1, 10000)");
    c.run("delete from work");
    const std::string url = c.database.url();
    CHECK(eventually([&] { // every dead row is gone, so nothing went on holding an old snapshot
        ask(url, "vacuum work");
        return ask(url, "select pg_relation_size('work')") == "0";
    }));
    // It waits for every transaction that is older than it; one blocked in pg_advisory_lock would be one.
    CHECK_NOTHROW(ask(url + " options='-c statement_timeout=300s'", "create index concurrently on work (n)"));
    // Whatever of theirs holds back anything is over soon, while one of them goes on leading.
    static constexpr query<std::string> clock{"select clock_timestamp()::text"};
    static constexpr query<std::int64_t, std::string> held{
        "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'tenon "
        "election%'"
        " and (backend_xmin is not null or backend_xid is not null) and xact_start < $1::text::timestamptz"};
    static constexpr query<std::int64_t> waiting{
        "select count(*) from pg_locks join pg_database d on d.oid = database"
        " where datname = current_database() and locktype = 'advisory' and not granted"};
    for (int i = 0; i < 10; ++i) {
        const std::string now = c.db.transact([](transaction& tx) { return clock.one(tx); });
        CHECK(eventually([&] {
            const auto blocked = c.db.transact([](transaction& tx) { return waiting.one(tx); });
            CHECK(blocked == 0);
            return c.db.transact([&](transaction& tx) { return held.one(tx, now); }) == 0;
        }));
    }
}
