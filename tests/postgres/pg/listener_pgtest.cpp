#include <tenon/pg/listener.hpp>

#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/core/sqlstate.hpp>

#include "support/database_fixture.hpp"
#include "support/eventually.hpp"
#include "support/silent_server.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

void send(connection& db, const std::string& channel, const std::string& payload) {
    db.transact([&](transaction& tx) { notify(tx, channel, payload); });
}

/// A role of its own, for a test that takes something from it.
struct guest : database_fixture {
    std::string name = "guest_of_" + database.name();
    guest() { run("create role " + name + " login"); }
    ~guest() { run("drop role " + name); }
    guest(const guest&) = delete;
    guest& operator=(const guest&) = delete;

    [[nodiscard]] std::string url() const { return database.url() + " user=" + name; }
    void end_sessions() {
        run("select pg_terminate_backend(pid, 60000) from pg_stat_activity where usename = '" + name + "'");
    }
};

} // namespace

TEST_CASE("notifications arrive in order, from the channels that were asked for") {
    database_fixture t;
    listener news(t.database.url(), {"orders", "odd \"name\""});
    send(t.db, "other", "not for us");
    send(t.db, "orders", "1");
    send(t.db, "odd \"name\"", "2");
    send(t.db, "orders", "");
    const std::stop_source never;

    CHECK(news.next(never.get_token())->payload == "1");
    const auto second = news.next(never.get_token());
    CHECK(second->channel == "odd \"name\"");
    CHECK(second->sender == t.db.backend_pid());
    CHECK(news.next(never.get_token())->payload.empty());
}

TEST_CASE("a notification is sent by the commit, not by a rollback") {
    database_fixture t;
    listener news(t.database.url(), {"orders"});
    {
        transaction tx(t.db);
        notify(tx, "orders", "rolled back");
    }
    send(t.db, "orders", "committed");
    CHECK(news.next(std::stop_source{}.get_token())->payload == "committed");
}

TEST_CASE("a stop ends the wait") {
    database_fixture t;
    listener news(t.database.url(), {"orders"});
    std::jthread waiter([&](const std::stop_token& stop) { CHECK_FALSE(news.next(stop)); });
    waiter.request_stop();
    waiter.join();
}

TEST_CASE("a broken session is opened again, and the gap is told") {
    testing::cluster server;
    connection before{server.url()};
    listener news(server.url(), {"orders"});
    send(before, "orders", "1");
    const std::stop_source never;
    CHECK(news.next(never.get_token())->payload == "1");

    server.restart(testing::stop_mode::immediate);

    const auto gap = news.next(never.get_token());
    CHECK(gap->gap);
    connection after{server.url()};
    send(after, "orders", "2");
    CHECK(news.next(never.get_token())->payload == "2");
}

TEST_CASE("a server that falls silent while the session is opened is given up in time") {
    const int answers = GENERATE(0, 1); // to the question for a pooler, and to LISTEN
    const silent_server server(answers);
    CHECK_THROWS_WITH(listener(server.url(), {"orders"}, {.connect_timeout = 200ms}),
                      ContainsSubstring("did not answer to LISTEN within 200 ms"));
    CHECK(server.questions() == answers + 1);
}

TEST_CASE("a stop ends the wait for a server that falls silent while the session is opened again") {
    silent_server server(2);
    listener news(server.url(), {"orders"}, {.connect_timeout = 1h});
    std::jthread waiter([&](const std::stop_token& stop) { CHECK_FALSE(news.next(stop)); });
    server.hang_up();
    REQUIRE(eventually([&] { return server.questions() == 3; }));
    waiter.request_stop();
    waiter.join();
}

TEST_CASE("a stop ends the pause before the next try") {
    testing::cluster server;
    listener news(server.url(), {"orders"}, {.connect_timeout = 1h});
    server.stop();
    std::jthread waiter([&](const std::stop_token& stop) { CHECK_FALSE(news.next(stop)); });
    waiter.request_stop();
    waiter.join();
}

TEST_CASE("what no waiting mends is told in the server's words, and may be tried again when it was mended") {
    guest t;
    listener news(t.url(), {"orders"});
    const std::stop_source never;
    t.run("alter role " + t.name + " nologin");
    t.end_sessions();
    try {
        (void)news.next(never.get_token());
        FAIL("let in");
    } catch (const connection_failed& refused) {
        CHECK_THAT(refused.what(), ContainsSubstring("is not permitted to log in"));
        CHECK(refused.sqlstate() == "28000");
    }
    t.run("alter role " + t.name + " login");
    CHECK(news.next(never.get_token())->gap);

    t.run("revoke connect on database " + t.database.name() + " from public");
    t.end_sessions();
    try {
        (void)news.next(never.get_token());
        FAIL("let in");
    } catch (const connection_failed& refused) {
        CHECK(refused.sqlstate() == sqlstate::insufficient_privilege);
    }
}

TEST_CASE("whatever connect_timeout is, it is no time in the past") {
    database_fixture t;
    CHECK_NOTHROW(listener(t.database.url(), {"orders"}, {.connect_timeout = std::chrono::milliseconds::max()}));
}

TEST_CASE("of several hosts it listens to the primary") {
    testing::cluster primary;
    const testing::cluster standby = primary.standby();
    listener news("host=" + standby.socket_directory().string() + "," + primary.socket_directory().string() +
                      " port=" + std::to_string(standby.port()) + "," + std::to_string(primary.port()) +
                      " user=postgres dbname=postgres",
                  {"orders"});
    connection db{primary.url()};
    send(db, "orders", "1");
    CHECK(news.next(std::stop_source{}.get_token())->payload == "1");
}
