// What a child made by fork() does to its parent's pools, connections and elections: nothing.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <tenon/tenon.hpp>

#include "support/database_fixture.hpp"
#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

namespace {

/// What a child's `work` returned; -1 when it did not end by itself within a minute.
int in_child(const std::function<int()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        int code = 99;
        try {
            code = work();
        } catch (...) {
            code = 98;
        }
        ::_exit(code);
    }
    REQUIRE(child > 0);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool is_alive(connection& through, int pid) {
    return through.transact([pid](transaction& tx) {
        return tx.execute("select from pg_catalog.pg_stat_activity where pid = $1", pid);
    }) == 1;
}

} // namespace

TEST_CASE("a child that destroys its copy of a pool neither hangs nor ends its parent's sessions") {
    database_fixture t;
    auto db = std::make_unique<pool>(t.database.url(), pool_options{.max_size = 2, .min_size = 2, .leak_after = 1h});
    db->warm_up(60s);
    auto lent = std::make_unique<connection>(db->acquire());
    const int lent_pid = lent->backend_pid();
    const int idle_pid = db->acquire().backend_pid();

    CHECK(in_child([&] {
              db.reset();
              lent.reset();
              return 0;
          }) == 0);
    CHECK(in_child([&] {
              lent.reset();
              (void)db->close(1h);
              db.reset();
              return 0;
          }) == 0);

    CHECK(is_alive(t.db, lent_pid));
    CHECK(is_alive(t.db, idle_pid));
    lent->transact([](transaction& tx) { tx.execute("select 1"); });
    CHECK(db->acquire().backend_pid() == idle_pid);
}

TEST_CASE("a child of a pool in use does not hang on what its threads held") {
    const testing::test_database database;
    auto db = std::make_unique<pool>(database.url(), pool_options{.max_size = 2});
    std::atomic<bool> stop{false};
    std::vector<std::jthread> users;
    for (int i = 0; i < 3; ++i)
        users.emplace_back([&] {
            while (!stop)
                (void)db->acquire(60s);
        });
    for (int i = 0; i < 20; ++i)
        CHECK(in_child([&] {
                  (void)db->status();
                  (void)db->health();
                  db.reset();
                  return 0;
              }) == 0);
    stop = true;
    users.clear();
    CHECK_NOTHROW(db->transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("a child that uses its parent's pool is told to open one of its own, and may") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1}};
    (void)db.acquire();
    const auto refused = [](auto use) {
        try {
            use();
            return false;
        } catch (const usage_error&) {
            return true;
        }
    };
    CHECK(in_child([&] {
              const bool told = refused([&] { (void)db.acquire(); }) && refused([&] { db.warm_up(1h); }) &&
                                refused([&] { db.resize(2); }) &&
                                refused([&] { db.transact([](transaction& tx) { tx.execute("select 1"); }); }) &&
                                refused([&] { db.read_only([](transaction& tx) { tx.execute("select 1"); }); });
              return told && db.health().state == pool_health::condition::down ? 0 : 1;
          }) == 0);
    CHECK(in_child([&] {
              pool own{database.url(), {.max_size = 1}};
              own.transact([](transaction& tx) { tx.execute("select 1"); });
              return 0;
          }) == 0);
    CHECK_NOTHROW(db.transact([](transaction& tx) { tx.execute("select 1"); }));
}

TEST_CASE("a child that destroys its copy of a connection or a listener leaves the parent's as they are") {
    database_fixture t;
    auto one = std::make_unique<connection>(t.database.url());
    auto news = std::make_unique<listener>(t.database.url(), std::vector<std::string>{"orders"});
    CHECK(in_child([&] {
              one.reset();
              news.reset();
              return 0;
          }) == 0);
    CHECK_NOTHROW(one->transact([](transaction& tx) { notify(tx, "orders", "1"); }));
    const auto note = news->next(std::stop_source{}.get_token());
    CHECK_FALSE(note->gap);
    CHECK(note->payload == "1");
}

TEST_CASE("a child leads nothing, and what it destroys of a leadership ends no term") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 2}};
    db.transact([](transaction& tx) { install(tx); });
    election job{db, "job", {.lease = 1s, .poll = 50ms}};
    auto leads = job.campaign({});
    REQUIRE(leads);
    CHECK(in_child([&] {
              const bool led = leads->held();
              leads->resign();
              leads.reset();
              return led ? 1 : 0;
          }) == 0);
    const auto deadline = leads->deadline();
    CHECK(eventually([&] { return leads->deadline() > deadline; })); // heartbeats go on
    CHECK(leads->held());
    CHECK_NOTHROW(leads->transact([](transaction& tx) { tx.execute("select 1"); }));
}
