// Elections in one process: winning, leading, handing over.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/election/election.hpp>
#include <tenon/pg/detail/prelude.hpp>
#include <tenon/pg/install.hpp>
#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/repository/repository.hpp>
#include <tenon/testing/gate.hpp>

#include "support/database_fixture.hpp"
#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace election_pgtest {

struct Item {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("item", tenon::key<&Item::id>);
};

} // namespace election_pgtest

using election_pgtest::Item;

namespace {

// No lease runs out on a busy machine. What a leader learns from heartbeats it knows after a quarter of it.
const election_options quick{.lease = 10s, .poll = 50ms};

election_options as(std::string candidate, election_options how = quick) {
    how.candidate = std::move(candidate);
    return how;
}

struct elections : database_fixture {
    pool pooled{database.url(), {.max_size = 8}};

    elections() {
        pooled.transact([](transaction& tx) { install(tx); });
        run("create table work (n bigint not null); create table item (id bigint primary key, text text not null)");
    }

    /// A session of this database, which may share its server with other tests', waits for a lock.
    bool somebody_waits() {
        return count("pg_locks join pg_stat_activity using (pid) where datname = current_database() and not granted") >
               0;
    }

    std::int64_t count(const std::string& sql) {
        return std::stoll(pooled.transact([&](transaction& tx) {
            tx.execute("create temporary table if not exists answer (n text)");
            tx.execute("truncate answer; insert into answer select count(*) from " + sql);
            return query<std::string>{"select n from answer"}.one(tx);
        }));
    }
};

/// Campaigns on a thread of its own and keeps what it wins.
class candidate {
public:
    candidate(pool& db, const election_options& how, std::string_view name = "job") : election_(db, name, how) {
        thread_ = std::jthread([this] {
            if (auto won = election_.campaign(stop_.get_token())) {
                const std::lock_guard lock(mutex_);
                won_.emplace(std::move(*won));
                leads_ = true;
            }
        });
    }
    ~candidate() { stop_.request_stop(); }
    [[nodiscard]] bool leads() const { return leads_ && won_->held(); }
    [[nodiscard]] leadership& won() { return *won_; }

private:
    election election_;
    std::stop_source stop_;
    std::mutex mutex_;
    std::optional<leadership> won_;
    std::atomic<bool> leads_{false};
    std::jthread thread_;
};

} // namespace

TEST_CASE("the tables are installed by whoever comes first, and nobody minds the others") {
    database_fixture t;
    std::atomic<int> failures{0};
    {
        std::vector<std::jthread> callers;
        for (int i = 0; i < 8; ++i)
            callers.emplace_back([&] {
                try {
                    connection db{t.database.url()};
                    for (int again = 0; again < 2; ++again)
                        db.transact([](transaction& tx) { install(tx); });
                } catch (const std::exception& failure) {
                    std::fprintf(stderr, "%s\n", failure.what());
                    ++failures;
                }
            });
    }
    CHECK(failures == 0);
    CHECK(t.db.transact([](transaction& tx) { return leader_of(tx, "job"); }) == std::nullopt);
}

TEST_CASE("a candidate that is alone leads, writes, and is known as the leader") {
    elections t;
    election job{t.pooled, "job", as("first")};
    const auto leadership = job.campaign({});
    REQUIRE(leadership);
    CHECK(leadership->held());
    CHECK(leadership->token().term == 1);
    CHECK(leadership->token().timeline == 1);
    CHECK(leadership->deadline() > boot_clock::now());
    CHECK(leadership->deadline() < boot_clock::now() + quick.lease);
    CHECK(leadership->transact([](transaction& tx) { return tx.execute("insert into work values (1)"); }) == 1);
    const auto known = job.current();
    REQUIRE(known);
    CHECK(known->candidate == "first");
    CHECK(known->token == leadership->token());
    CHECK(t.pooled.transact([](transaction& tx) { return candidates_of(tx, "job"); }) == 1);
}

TEST_CASE("a term outlives its lease as long as heartbeats are answered") {
    elections t;
    auto lease = 200ms;
    REQUIRE(eventually([&] { // a longer one is tried until this machine's heartbeats are in time
        election job{t.pooled, "job", {.lease = lease, .poll = 20ms}};
        const auto leadership = job.campaign({});
        const auto first = leadership->deadline();
        REQUIRE(eventually([&] { return boot_clock::now() > first + 2 * lease; }));
        lease *= 2;
        if (!leadership->held())
            return false;
        try {
            leadership->transact([](transaction& tx) { tx.execute("insert into work values (1)"); });
            return true;
        } catch (const fenced_out&) {
            return false;
        }
    }));
}

TEST_CASE("a second candidate leads when the first resigns, with the next term") {
    elections t;
    std::optional<leadership> first;
    {
        candidate one{t.pooled, as("one")};
        REQUIRE(eventually([&] { return one.leads(); }));
        candidate two{t.pooled, as("two")};
        REQUIRE(eventually(
            [&] { return t.pooled.transact([](transaction& tx) { return candidates_of(tx, "job"); }) == 2; }));
        CHECK_FALSE(two.leads());
        one.won().resign();
        CHECK_FALSE(one.won().held());
        CHECK(one.won().stop_token().stop_requested());
        REQUIRE(eventually([&] { return two.leads(); }));
        CHECK(two.won().token().term == 2);
        CHECK(two.won().token() > one.won().token());
        CHECK_THROWS_AS(one.won().transact([](transaction& tx) { tx.execute("select 1"); }), fenced_out);
    }
    CHECK(t.pooled.transact([](transaction& tx) { return leader_of(tx, "job"); }) == std::nullopt);
}

TEST_CASE("a stop ends a campaign, and a term with it") {
    elections t;
    election job{t.pooled, "job", as("one")};
    std::stop_source stop;
    {
        const auto leadership = job.campaign(stop.get_token());
        REQUIRE(leadership);
        stop.request_stop();
        CHECK_FALSE(leadership->held());
        CHECK_THROWS_AS(leadership->transact([](transaction& tx) { tx.execute("select 1"); }), fenced_out);
    }
    CHECK_FALSE(job.campaign(stop.get_token()));
}

TEST_CASE("one object has one campaign at a time, and another one afterwards") {
    elections t;
    election job{t.pooled, "job", as("one")};
    {
        const auto leadership = job.campaign({});
        CHECK_THROWS_AS(job.campaign({}), usage_error);
    }
    CHECK(job.campaign({})->token().term == 2);
}

TEST_CASE("a transaction of a term that is over stores nothing, at every isolation level") {
    elections t;
    const auto level = GENERATE(isolation::read_committed, isolation::repeatable_read, isolation::serializable);
    const bool raw = GENERATE(false, true);
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    leadership->transact([](transaction& tx) { tx.execute("insert into work values (1)"); });
    t.run("update tenon.election_term set term = term + 1, id = gen_random_uuid()"); // as a successor does
    static constexpr query<void, std::int64_t> insert{"insert into work values ($1)"};
    CHECK_THROWS_AS(leadership->transact({.level = level},
                                         [&](transaction& tx) {
                                             if (raw)
                                                 tx.execute("insert into work values (2)");
                                             else
                                                 insert.run(tx, 2);
                                         }),
                    fenced_out);
    CHECK(t.count("work") == 1);
    CHECK(eventually([&] { return !leadership->held(); })); // it has learnt that it is over
}

TEST_CASE("whatever a transaction begins with, it is fenced") {
    elections t;
    const std::size_t cache = GENERATE(std::size_t{256}, std::size_t{0});
    const bool keeps_id = GENERATE(false, true);
    pool one{t.database.url(), {.max_size = 1, .connection = {.statement_cache = cache}}};
    t.run("insert into item values (1, 'there')");
    election job{one, "job", as("one")};
    const auto leadership = job.campaign({});
    const std::vector<Item> items{{2, "two"}, {3, "three"}};
    const std::vector<std::pair<const char*, std::function<void(transaction&)>>> ways{
        {"raw", [](transaction& tx) { tx.execute("insert into item values (2, 'x')"); }},
        {"raw with values", [](transaction& tx) { tx.execute("insert into item values (2, $1)", std::string("x")); }},
        {"insert", [](transaction& tx) { repository<Item>{tx}.insert({2, "x"}); }},
        {"insert_many", [&](transaction& tx) { repository<Item>{tx}.insert_many(items); }},
        {"upsert_many", [&](transaction& tx) { repository<Item>{tx}.upsert_many(items); }},
        {"copy_in", [&](transaction& tx) { repository<Item>{tx}.copy_in(items); }},
        {"copy_out",
         [](transaction& tx) {
             for ([[maybe_unused]] const Item& each : repository<Item>{tx}.copy_out()) {
             }
         }},
        {"stream",
         [](transaction& tx) {
             for ([[maybe_unused]] const Item& each : repository<Item>{tx}.every().stream()) {
             }
         }},
        {"pipeline", [](transaction& tx) { tx.pipeline([](pipeline& p) { (void)p.insert(Item{2, "x"}); }); }},
        {"pipeline that commits",
         [](transaction& tx) {
             tx.pipeline([](pipeline& p) {
                 (void)p.insert(Item{2, "x"});
                 p.commit();
             });
         }},
        {"part",
         [](transaction& tx) { tx.transact([](transaction& part) { repository<Item>{part}.insert({2, "x"}); }); }},
        {"set_local", [](transaction& tx) { tx.set_local("application_name", "x"); }},
        {"libpqxx", [](transaction& tx) { as_pqxx(tx).exec("insert into item values (2, 'x')"); }},
    };
    // Twice while the term lasts, so that everything is prepared, then after it.
    const auto undone = [&](const auto& way) {
        leadership->transact({.keep_id = keeps_id}, [&](transaction& tx) {
            way(tx);
            if (tx.is_open())
                tx.execute("delete from item where id > 1");
        });
        t.run("delete from item where id > 1");
    };
    for (const auto& each : ways) {
        const auto& way = each.second;
        INFO(each.first);
        CHECK_NOTHROW(undone(way));
        CHECK_NOTHROW(undone(way));
    }
    const auto over = leadership->token().id;
    t.run("update tenon.election_term set id = gen_random_uuid()");
    for (const auto& each : ways) {
        const auto& way = each.second;
        INFO(each.first);
        // On the pool, behind the same fence: the leadership itself gives up after the first refusal.
        CHECK_THROWS_AS(one.transact({.keep_id = keeps_id},
                                     [&](transaction& tx) {
                                         const std::string id = over.to_string();
                                         const std::array<const char*, 5> values{"", "job", "1", id.c_str(), "1000"};
                                         const detail::prelude fence{
                                             .sql = "select tenon.require_term($1, $2, $3, $4, $5)", .values = values};
                                         detail::lead_with(tx, fence);
                                         way(tx);
                                     }),
                        error);
        CHECK(t.count("item") == 1);
    }
}

TEST_CASE("a fenced transaction that commits in its pipeline is fenced, too") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    t.run("update tenon.election_term set id = gen_random_uuid()");
    CHECK_THROWS_AS(leadership->transact([](transaction& tx) {
        tx.pipeline([](pipeline& p) { p.commit(); });
        tx.execute("insert into work values (2)");
    }),
                    error);
    CHECK(t.count("work") == 0);
}

TEST_CASE("a successor waits for the transaction of its predecessor that has passed the fence") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    std::optional<candidate> successor;
    leadership->transact([&](transaction& tx) {
        tx.execute("insert into work values (1)");
        successor.emplace(t.pooled, election_options{.lease = 120s, .poll = 50ms, .grace = 60s});
        t.run("select pg_terminate_backend(backend_pid) from tenon.election_term");
        REQUIRE(eventually([&] { return t.somebody_waits(); }));
        CHECK_FALSE(successor->leads());
    });
    CHECK(t.count("work") == 1);
    CHECK(eventually([&] { return successor->leads(); }));
}

TEST_CASE("a successor does not wait longer than its grace: it ends the transaction") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    std::optional<candidate> successor;
    CHECK_THROWS_AS(leadership->transact([&](transaction& tx) {
        tx.execute("insert into work values (1)");
        successor.emplace(t.pooled, as("two"));
        t.run("select pg_terminate_backend(backend_pid) from tenon.election_term");
        REQUIRE(eventually([&] { return successor->leads(); }));
    }),
                    connection_lost);
    CHECK(t.count("work") == 0);
}

TEST_CASE("a fence that waits for the next term to begin refuses, at every isolation level") {
    elections t;
    const auto level = GENERATE(isolation::read_committed, isolation::repeatable_read, isolation::serializable);
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    std::jthread stale;
    std::atomic<bool> refused{false};
    t.db.transact([&](transaction& tx) { // as a successor does
        tx.execute("select pg_advisory_xact_lock(tenon.election_key('', 'job', 1));"
                   "update tenon.election_term set term = term + 1, id = gen_random_uuid()");
        stale = std::jthread([&] {
            try {
                leadership->transact({.level = level},
                                     [](transaction& its) { its.execute("insert into work values (1)"); });
            } catch (const fenced_out&) {
                refused = true;
            }
        });
        REQUIRE(eventually([&] { return t.somebody_waits(); }));
    });
    stale.join();
    CHECK(refused);
    CHECK(t.count("work") == 0);
}

TEST_CASE("the fence travels with BEGIN: a fenced transaction takes no more round trips than another") {
    elections t;
    testing::gate gate{t.database.url()};
    pool gated{gate.url(), {.max_size = 1}};
    election_options direct = as("one", {.lease = 30s, .poll = 50ms});
    direct.conninfo = t.database.url();
    election job{gated, "job", direct};
    const auto leadership = job.campaign({});
    static constexpr query<void, std::int64_t> insert{"insert into work values ($1)"};
    const auto write = [&] { leadership->transact([](transaction& tx) { insert.run(tx, 1); }); };
    const auto plain = [&] { gated.transact([](transaction& tx) { insert.run(tx, 1); }); };
    const auto trips = [&](const auto& action) {
        action();
        gate.reset_counters();
        action();
        return gate.round_trips();
    };
    const auto fenced = trips(write);
    CHECK(fenced == trips(plain));
}

TEST_CASE("a fenced transaction works again after its session forgot what was prepared") {
    elections t;
    pool one{t.database.url(), {.max_size = 1}};
    election job{one, "job", as("one")};
    const auto leadership = job.campaign({});
    const auto write = [&] {
        leadership->transact([](transaction& tx) { tx.execute("insert into work values (1)"); });
    };
    write();
    one.transact([](transaction& tx) { tx.execute("do $$ begin execute 'deallocate all'; end $$"); });
    CHECK_THROWS_AS(write(), error); // told, as for any statement that is run as raw SQL
    CHECK_NOTHROW(write());
    CHECK(t.count("work") == 2);
}

TEST_CASE("resigning waits for transactions under way") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    std::atomic<bool> resigned{false};
    std::jthread resigner;
    leadership->transact([&](transaction& tx) {
        tx.execute("insert into work values (1)");
        resigner = std::jthread([&] {
            leadership->resign();
            resigned = true;
        });
        REQUIRE(eventually([&] { return !leadership->held(); }));
        CHECK(job.current());
        CHECK_FALSE(resigned);
    });
    resigner.join();
    CHECK(resigned);
    CHECK(t.count("work") == 1);
    CHECK_FALSE(job.current());
}

TEST_CASE("a candidate that is asked for leads next, and others hold back for it") {
    elections t;
    candidate one{t.pooled, as("one")};
    REQUIRE(eventually([&] { return one.leads(); }));
    candidate two{t.pooled, as("two")};
    candidate three{t.pooled, as("three")};
    const auto ask = [&](std::string_view whom) {
        return t.pooled.transact([&](transaction& tx) { return prefer(tx, "job", whom, 10s); });
    };
    CHECK_FALSE(ask("nobody"));
    REQUIRE(eventually([&] { return ask("three"); }));
    REQUIRE(eventually([&] { return three.leads(); }));
    CHECK_FALSE(one.leads());
    CHECK_FALSE(two.leads());
    CHECK(three.won().token().term == 2);
}

TEST_CASE("a candidate that is excluded leads no more until it is let in again") {
    elections t;
    const auto exclude_one = [&](bool excluded) {
        t.pooled.transact([&](transaction& tx) { exclude(tx, "job", "one", excluded); });
    };
    election job{t.pooled, "job", as("one")};
    {
        const auto leadership = job.campaign({});
        exclude_one(true);
        REQUIRE(eventually([&] { return !leadership->held(); }));
    }
    candidate again{t.pooled, as("one")};
    candidate two{t.pooled, as("two")};
    REQUIRE(eventually([&] { return two.leads(); }));
    exclude_one(false);
    two.won().resign();
    REQUIRE(eventually([&] { return again.leads(); }));
}

TEST_CASE("raw SQL that ends a fenced transaction leaves no unfenced one behind") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const char* const control = GENERATE("commit", "commit; begin", "rollback; begin", "commit and chain", "rollback",
                                         "rollback and chain", "abort and chain");
    const auto leadership = job.campaign({});
    CHECK_THROWS_AS(leadership->transact([&](transaction& tx) {
        try {
            tx.execute(control);
        } catch (const usage_error&) {
        }
        t.run("update tenon.election_term set id = gen_random_uuid()");
        tx.execute("insert into work values (1)");
    }),
                    connection_lost);
    CHECK(t.count("work") == 0);
}

TEST_CASE("a transaction that other code has begun anew passes the fence again at its commit") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const char* const control = GENERATE("rollback and chain", "commit; begin");
    const auto leadership = job.campaign({});
    CHECK_THROWS_AS(leadership->transact([&](transaction& tx) {
        as_pqxx(tx).exec(control); // where tenon does not see it
        t.run("update tenon.election_term set id = gen_random_uuid()");
        as_pqxx(tx).exec("insert into work values (1)");
    }),
                    fenced_out);
    CHECK(t.count("work") == 0);
}

TEST_CASE("so does one that commits in a pipeline") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    CHECK_THROWS_AS(leadership->transact([&](transaction& tx) {
        as_pqxx(tx).exec("rollback and chain"); // where tenon does not see it
        t.run("update tenon.election_term set id = gen_random_uuid()");
        tx.pipeline([](pipeline& p) {
            (void)p.insert(Item{1, "x"});
            p.commit();
        });
    }),
                    fenced_out);
    CHECK(t.count("item") == 0);
}

TEST_CASE("a refusal that the body drops is told at the end") {
    elections t;
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    t.run("update tenon.election_term set id = gen_random_uuid()");
    CHECK_THROWS_AS(leadership->transact([&](transaction& tx) {
        try {
            tx.execute("insert into work values (1)");
        } catch (const error&) { // it goes on as if nothing had happened
        }
    }),
                    fenced_out);
    CHECK(eventually([&] { return !leadership->held(); }));
}

TEST_CASE("a leadership may be dropped inside of its callbacks") {
    elections t;
    const bool in_callback = GENERATE(true, false);
    std::optional<leadership> held;
    std::atomic<bool> dropped{false};
    const auto drop = [&] {
        held.reset();
        dropped = true;
    };
    election_options how = as("one");
    if (in_callback)
        how.on_lost = [&](const fencing_token&, term_end) { drop(); };
    election job{t.pooled, "job", how};
    held = job.campaign({});
    std::optional<std::stop_callback<std::function<void()>>> on_stop;
    if (!in_callback)
        on_stop.emplace(held->stop_token(), drop);
    t.run("select pg_terminate_backend(backend_pid) from tenon.election_term");
    CHECK(eventually([&] { return dropped.load(); }));
    CHECK(job.campaign({}));
}

TEST_CASE("a campaign is stopped at once, even while the server says nothing") {
    elections t;
    testing::gate gate{t.database.url()};
    pool gated{gate.url(), {.max_size = 1}};
    election first{t.pooled, "job", as("one")};
    const auto leadership = first.campaign({});
    election second{gated, "job", {.candidate = "two", .lease = 60s, .poll = 20ms}};
    std::stop_source stop;
    std::atomic<bool> ended{false};
    std::jthread campaign([&] {
        CHECK_FALSE(second.campaign(stop.get_token()));
        ended = true;
    });
    REQUIRE(
        eventually([&] { return t.pooled.transact([](transaction& tx) { return candidates_of(tx, "job"); }) == 2; }));
    gate.black_hole();
    std::this_thread::sleep_for(50ms); // so that it has asked and waits: earlier is an easier test only
    stop.request_stop();
    CHECK(eventually([&] { return ended.load(); }));
}

TEST_CASE("a candidate that is asked for and has led is not preferred for ever") {
    elections t;
    candidate one{t.pooled, as("one")};
    REQUIRE(eventually([&] { return one.leads(); }));
    candidate two{t.pooled, as("two")};
    REQUIRE(eventually(
        [&] { return t.pooled.transact([&](transaction& tx) { return prefer(tx, "job", "two", 10min); }); }));
    REQUIRE(eventually([&] { return two.leads(); }));
    CHECK(t.count("tenon.election_candidate where preferred_until is not null") == 0);
}

TEST_CASE("a candidate may be asked for as long as there are milliseconds") {
    elections t;
    candidate one{t.pooled, as("one")};
    // Looked at where it is asked: once it is stored, who leads has been heeded, and it is taken back.
    static constexpr query<bool> asked{"select exists (select from tenon.election_candidate"
                                       " where preferred_until > clock_timestamp() + interval '900 years')"};
    CHECK(eventually([&] {
        return t.pooled.transact([](transaction& tx) {
            return prefer(tx, "job", "one", std::chrono::milliseconds::max()) && asked.one(tx);
        });
    }));
}

TEST_CASE("a candidate that may not end its predecessor's transaction says so, and waits for it") {
    elections t;
    const std::string role = "candidate_" + std::to_string(t.db.backend_pid());
    t.run("create role " + role + " login; grant usage on schema tenon to " + role +
          "; grant select, insert, update on tenon.election_term to " + role +
          "; grant select, update on tenon.election_candidate to " + role);
    std::mutex mutex;
    std::vector<std::string> lines;
    election_options how = as("two");
    how.conninfo = t.database.url() + " user=" + role;
    how.log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        lines.emplace_back(line);
    };
    election job{t.pooled, "job", as("one")};
    const auto leadership = job.campaign({});
    {
        std::optional<candidate> successor;
        leadership->transact([&](transaction& tx) {
            tx.execute("insert into work values (1)");
            successor.emplace(t.pooled, how);
            t.run("select pg_terminate_backend(backend_pid) from tenon.election_term");
            REQUIRE(eventually([&] {
                const std::lock_guard lock(mutex);
                return std::ranges::any_of(
                    lines, [](const std::string& line) { return line.find("may not end") != std::string::npos; });
            }));
            CHECK_FALSE(successor->leads());
        });
        CHECK(t.count("work") == 1);
        CHECK(eventually([&] { return successor->leads(); }));
    }
    t.run("drop owned by " + role + "; drop role " + role);
}

TEST_CASE("a term row that somebody else locks is waited for, at the pace of the poll") {
    elections t;
    std::atomic<int> lines{0};
    election_options how = as("one");
    how.log = [&](std::string_view) { ++lines; };
    t.run("insert into tenon.election_term values ('', 'job', 1, 1, gen_random_uuid(), 'gone', 0, now())");
    std::optional<candidate> waiting;
    {
        transaction tx{t.db};
        tx.execute("select from tenon.election_term for update");
        waiting.emplace(t.pooled, how);
        std::this_thread::sleep_for(500ms); // the time in which it must not talk
        CHECK_FALSE(waiting->leads());
        CHECK(lines <= 2);
    }
    CHECK(eventually([&] { return waiting->leads(); }));
}

TEST_CASE("a candidate that is excluded while it claims does not lead") {
    elections t;
    const std::string claims = "pg_locks join pg_stat_activity using (pid) where datname = current_database()"
                               " and locktype = 'advisory' and mode = 'ExclusiveLock' and granted";
    for (int i = 0; i < 10; ++i) {
        // The last leader did not resign, so the claim takes a moment, in which the wish comes.
        t.run("delete from tenon.election_candidate; delete from tenon.election_term;"
              "insert into tenon.election_term values ('', 'job', 1, 1, gen_random_uuid(), 'gone', 1, now())");
        candidate one{t.pooled, {.candidate = "one", .lease = 1s, .poll = 100ms}};
        REQUIRE(eventually([&] { return t.count(claims) > 0; }));
        t.pooled.transact([](transaction& tx) { exclude(tx, "job", "one"); });
        REQUIRE(eventually([&] { return t.count(claims) == 0; }));
        CHECK_FALSE(one.leads());
    }
}

TEST_CASE("what no waiting mends is told when a campaign begins") {
    elections t;
    election_options how = as("one");
    how.conninfo = t.database.url() + " dbname=not_there";
    election job{t.pooled, "job", how};
    CHECK_THROWS_AS(job.campaign({}), connection_failed);
}

TEST_CASE("elections of one name in two regions are two elections") {
    elections t;
    candidate east{t.pooled, {.region = "east", .lease = 10s, .poll = 50ms}};
    candidate west{t.pooled, {.region = "west", .lease = 10s, .poll = 50ms}};
    CHECK(eventually([&] { return east.leads() && west.leads(); }));
}

TEST_CASE("an observer is told who leads, and of each change") {
    elections t;
    std::mutex mutex;
    std::vector<std::string> seen;
    std::stop_source stop;
    election watched{t.pooled, "job", quick};
    std::jthread observer([&] {
        watched.observe(stop.get_token(), [&](const std::optional<leader>& now) {
            const std::lock_guard lock(mutex);
            seen.push_back(now ? now->candidate + " " + std::to_string(now->token.term) : "nobody");
        });
    });
    const auto saw = [&](const std::string& text) {
        return eventually([&] {
            const std::lock_guard lock(mutex);
            return !seen.empty() && seen.back() == text;
        });
    };
    CHECK(saw("nobody"));
    {
        candidate one{t.pooled, as("one")};
        CHECK(saw("one 1"));
    }
    CHECK(saw("nobody"));
    stop.request_stop();
}

TEST_CASE("callbacks and log tell the story, with the cause of each end") {
    elections t;
    std::mutex mutex;
    std::vector<std::string> story;
    const auto note = [&](const std::string& text) {
        const std::lock_guard lock(mutex);
        story.push_back(text);
    };
    election_options how = as("one");
    how.on_elected = [&](const fencing_token& token) { note("elected " + std::to_string(token.term)); };
    how.on_lost = [&](const fencing_token& token, term_end cause) {
        note("lost " + std::to_string(token.term) + (cause == term_end::session_lost ? " session" : " otherwise"));
    };
    how.log = [&](std::string_view line) { note(std::string(line)); };
    election job{t.pooled, "job", how};
    {
        const auto leadership = job.campaign({});
        t.run("select pg_terminate_backend(backend_pid) from tenon.election_term");
        CHECK(eventually([&] { return leadership->stop_token().stop_requested(); }));
        CHECK_FALSE(leadership->held());
    }
    REQUIRE(story.size() == 5);
    CHECK(story[0] == "election job: one campaigns");
    CHECK_THAT(story[1], ContainsSubstring("election job: one leads, term 1 on timeline 1, after "));
    CHECK(story[2] == "elected 1");
    CHECK_THAT(story[3], ContainsSubstring("leads no more after ") && ContainsSubstring("its session was lost (") &&
                             ContainsSubstring("administrator command"));
    CHECK(story[4] == "lost 1 session");
}

TEST_CASE("an observer is told of terms, heartbeats and refusals") {
    class listener_of_events final : public observer {
    public:
        void elected(const elected_event& event) noexcept override {
            add("elected " + std::string(event.candidate) + " " + std::to_string(event.term));
        }
        void deposed(const deposed_event& event) noexcept override {
            add("deposed " + std::to_string(event.term) + " " +
                (event.cause == term_end::fenced_out ? "fenced out" : "otherwise"));
        }
        void heartbeat(const heartbeat_event& event) noexcept override {
            const bool sound = event.candidates == 1 && event.round_trip > 0ns && event.margin > 0ns;
            if (!beats_.exchange(true))
                add(sound ? "heartbeat" : "odd heartbeat");
        }
        void fenced(const fence_event& event) noexcept override { add("fenced " + std::to_string(event.term)); }
        std::vector<std::string> seen() {
            const std::lock_guard lock(mutex_);
            return seen_;
        }

    private:
        void add(std::string text) {
            const std::lock_guard lock(mutex_);
            seen_.push_back(std::move(text));
        }
        std::mutex mutex_;
        std::vector<std::string> seen_;
        std::atomic<bool> beats_{false};
    };
    elections t;
    const auto told = std::make_shared<listener_of_events>();
    pool db{t.database.url(), {.connection = {.observer = told}}};
    election job{db, "job", as("one")};
    {
        const auto leadership = job.campaign({});
        REQUIRE(eventually([&] { return told->seen().size() == 2; }));
        t.run("update tenon.election_term set id = gen_random_uuid()");
        CHECK_THROWS_AS(leadership->transact([](transaction& tx) { tx.execute("select 1"); }), fenced_out);
    }
    CHECK(told->seen() == std::vector<std::string>{"elected one 1", "heartbeat", "fenced 1", "deposed 1 fenced out"});
}

TEST_CASE("a campaign without the tables says so instead of waiting for them") {
    database_fixture t;
    pool db{t.database.url()};
    election job{db, "job", quick};
    CHECK_THROWS_AS(job.campaign({}), schema_mismatch);
    CHECK_THROWS_AS(job.observe({}, [](const auto&) {}), schema_mismatch);
}

TEST_CASE("options are refused by name and rule") {
    database_fixture t;
    pool db{t.database.url()};
    CHECK_THROWS_WITH((election{db, "job", {.lease = 1ms}}), ContainsSubstring("election_options::lease"));
    CHECK_THROWS_WITH((election{db, "job", {.lease = 1s, .margin = 500ms}}),
                      ContainsSubstring("election_options::margin"));
    CHECK_THROWS_WITH((election{db, "job", {.lease = 1s, .poll = 600ms}}), ContainsSubstring("election_options::poll"));
    CHECK_THROWS_WITH((election{db, "job", {.grace = 0ms}}), ContainsSubstring("election_options::grace"));
    CHECK_THROWS_AS((election{db, ""}), usage_error);
    election job{db, "job"};
}

TEST_CASE("what only reads is refused behind the fence") {
    elections t;
    election job{t.pooled, "job", quick};
    const auto leadership = job.campaign({});
    CHECK_THROWS_AS(leadership->transact({.read_only = true}, [](transaction&) {}), usage_error);
}
