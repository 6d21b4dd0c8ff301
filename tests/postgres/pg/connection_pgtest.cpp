#include <tenon/pg/connection.hpp>

#include <csignal>
#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "postgres/testing/environment_variable.hpp"
#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

template <class Error, class Action>
std::string message_of(Action action) {
    try {
        action();
    } catch (const Error& caught) {
        return caught.what();
    }
    FAIL("nothing was thrown");
    return {};
}

} // namespace

TEST_CASE("a session opens and tells its server") {
    const testing::test_database database;
    const connection db{database.url()};
    CHECK(db.is_open());
    CHECK(db.backend_pid() > 0);
    CHECK(db.server_version() >= 150000);
}

TEST_CASE("a server that is not there is named with the remedy") {
    const std::string message =
        message_of<connection_failed>([] { connection{"host=/nonexistent-socket-folder port=5433 user=me"}; });
    CHECK_THAT(message, ContainsSubstring("/nonexistent-socket-folder") && ContainsSubstring("5433") &&
                            ContainsSubstring("check that the server runs"));
}

TEST_CASE("a wrong password is told, and the password is in no message") {
    const testing::cluster server{{.listen_tcp = true}};
    std::string url = server.tcp_url();
    const auto at = url.find('@');
    const auto colon = url.rfind(':', at);
    url.replace(colon + 1, at - colon - 1, "hunter2secret");
    try {
        connection{url};
        FAIL("accepted");
    } catch (const connection_failed& refused) {
        CHECK(refused.sqlstate() == "28P01");
        CHECK_THAT(refused.what(), ContainsSubstring("password authentication failed") &&
                                       ContainsSubstring("check user, password") && !ContainsSubstring("hunter2"));
    }
    CHECK(connection{server.tcp_url()}.is_open());
}

TEST_CASE("a missing database is told with its SQLSTATE") {
    const testing::test_database database;
    try {
        connection{database.url() + " dbname=nobody_made_this"};
        FAIL("accepted");
    } catch (const connection_failed& refused) {
        CHECK(refused.sqlstate() == "3D000");
        CHECK_THAT(refused.what(), ContainsSubstring("nobody_made_this") && ContainsSubstring("create the database"));
    }
}

TEST_CASE("a connection string that cannot be read is refused without showing it") {
    for (const char* text : {"postgresql://me:hunter2@host:port/db", "postgresql://me:hunter2/x@host/db",
                             "postgresql://me:hunt@er2@host/db", "password=hunter2 host",
                             "postgresql://me:hunter2@host/db?x=1", "user=me password='hunter2"}) {
        INFO(text);
        const std::string message = message_of<connection_failed>([&] { connection{text}; });
        CHECK_THAT(message,
                   ContainsSubstring("percent-encoded") && !ContainsSubstring("hunter2") && !ContainsSubstring("er2"));
    }
}

TEST_CASE("a session ended by the server mid-query is connection_lost, and stays so") {
    database_fixture t;
    transaction tx(t.db);
    tx.execute("select 1");
    std::jthread nemesis([url = t.database.url(), pid = t.db.backend_pid()] {
        connection other{url};
        // As soon as the victim sleeps. A transaction sees pg_stat_activity as it was at its first look.
        for (std::uint64_t rows = 0; rows == 0;)
            rows = other.transact([pid](transaction& kill) {
                return kill.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and query "
                                    "like 'select pg_sleep%' and state = 'active'",
                                    pid);
            });
    });

    const std::string first = message_of<connection_lost>([&] { tx.execute("select pg_sleep(60)"); });
    CHECK_THAT(first, ContainsSubstring("terminating connection"));
    CHECK_FALSE(t.db.is_open());

    const std::string second = message_of<connection_lost>([&] { tx.execute("select 1"); });
    CHECK_THAT(second, ContainsSubstring("lost earlier") && ContainsSubstring("take another from the pool"));
    const std::string at_commit = message_of<connection_lost>([&] { tx.commit(); });
    CHECK_THAT(at_commit, ContainsSubstring("lost earlier"));
    CHECK_THROWS_AS(transaction(t.db), connection_lost);
}

TEST_CASE("a server that crashes mid-query is connection_lost") {
    testing::cluster server;
    connection db{server.url()};
    transaction tx(db);
    tx.execute("select 1");
    std::jthread nemesis([&server, url = server.url()] {
        connection other{url};
        const auto looks = [](transaction& watch) {
            return watch.execute(
                "select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'");
        };
        while (other.transact(looks) == 0) {
        }
        server.crash();
    });
    CHECK_THROWS_AS(tx.execute("select pg_sleep(60)"), connection_lost);
}

TEST_CASE("an answer that does not come is given up at the deadline") {
    const testing::test_database database;
    connection db{database.url(), {.response_timeout = 50ms}};
    transaction tx(db);
    const std::string message = message_of<connection_lost>([&] { tx.execute("select pg_sleep(60)"); });
    CHECK_THAT(message, ContainsSubstring("no answer within 50 ms"));
    CHECK_FALSE(db.is_open());
}

TEST_CASE("a connection can be moved, and a moved-from one says so") {
    database_fixture t;
    connection taken = std::move(t.db);
    CHECK(taken.is_open());
    CHECK_FALSE(t.db.is_open()); // NOLINT(bugprone-use-after-move)
    CHECK_THROWS_AS(transaction(t.db), usage_error);
}

TEST_CASE("what a server says of a setting does not show the setting's value") {
    const testing::test_database database;
    const auto refusal = [&](const std::string& more) {
        return message_of<connection_failed>([&] { connection{database.url() + " " + more}; });
    };
    for (const char* options : {"hunter2", "-c work_mem=hunter2", "-chunter2=hunter2", "--work_mem=hunter2 -c x.y=z",
                                "-c search_path=a,hunter2 -c work_mem=hunter2", "-c work_mem=hun\\\\ hunter2"}) {
        INFO(options);
        CHECK_THAT(refusal("options='" + std::string(options) + "'"), ContainsSubstring("failed: FATAL") &&
                                                                          ContainsSubstring("(not shown)") &&
                                                                          !ContainsSubstring("hunter2"));
    }
    CHECK_THAT(refusal("options='-c work_mem=hunter2'"), ContainsSubstring("\"work_mem\": \"(not shown)\""));
    CHECK_THAT(refusal("user='app:hunter2'"), ContainsSubstring("(not shown)") && !ContainsSubstring("hunter2"));
}

TEST_CASE("a bare database name reaches the server that the environment names, and nothing that looks otherwise does") {
    const testing::cluster server;
    const environment_variable host{"PGHOST", server.socket_directory().string()};
    const environment_variable port{"PGPORT", std::to_string(server.port())};
    const environment_variable user{"PGUSER", "postgres"};
    CHECK(connection{"postgres"}.is_open());
    CHECK_THAT(message_of<connection_failed>([] { connection{"nobody_made_this"}; }),
               ContainsSubstring("nobody_made_this"));
    for (const char* text : {" postgresql://app:hunter2@db/app", "\"postgresql://app:hunter2@db/app\"",
                             "postgresql+psycopg://app:hunter2@db/app", "Postgres://app:hunter2@db/app",
                             "postgresql://app:12/hunter2@127.0.0.1:1/app"}) {
        INFO(text);
        CHECK_THAT(message_of<connection_failed>([&] { connection{text}; }), !ContainsSubstring("hunter2"));
        CHECK_THAT(server.log(), !ContainsSubstring("hunter2")); // nor was it sent there
    }
}
