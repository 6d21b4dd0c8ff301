#include <tenon/pg/listener.hpp>

#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace {

void send(connection& db, const std::string& channel, const std::string& payload) {
    db.transact([&](transaction& tx) { notify(tx, channel, payload); });
}

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
