#include <tenon/testing/test_database.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/testing/gate.hpp>

#include "ask.hpp"
#include "environment_variable.hpp"

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using tenon::testing::cluster;
using tenon::testing::cluster_error;
using tenon::testing::gate;
using tenon::testing::shared_cluster;
using tenon::testing::test_database;
using tenon::tests::ask;
using tenon::tests::environment_variable;

namespace {

bool exists(const std::string& database, const cluster& server = shared_cluster()) {
    return ask(server.url(), "SELECT 1 FROM pg_database WHERE datname = '" + database + "'") == "1";
}

} // namespace

TEST_CASE("a test database is empty, named after its place in the test, and dropped at the end") {
    std::string name;
    {
        const int line = __LINE__ + 1;
        const test_database database{shared_cluster()};
        name = database.name();
        CHECK(name.starts_with("test_database_pgtest_" + std::to_string(line) + "_"));
        CHECK(ask(database.url(), "SELECT current_database()") == name);
        CHECK(ask(database.url(), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == "0");
    }
    CHECK_FALSE(exists(name));
}

TEST_CASE("a test database takes a name of any characters") {
    const test_database database{shared_cluster(), {.name = "Orders: a \"quoted\" name, 'as' long as one may want it"}};

    CHECK(database.name().starts_with("orders__a__quoted__name___as__long_as_on_"));
    CHECK(exists(database.name()));
}

TEST_CASE("a test database is dropped although a session is open") {
    std::optional<test_database> database{std::in_place, shared_cluster()};
    const std::string name = database->name();
    const std::unique_ptr<PGconn, void (*)(PGconn*)> session{PQconnectdb(database->url().c_str()), PQfinish};
    REQUIRE(PQstatus(session.get()) == CONNECTION_OK);

    database.reset();

    CHECK_FALSE(exists(name));
}

TEST_CASE("databases of one key are cloned from a template that is prepared once") {
    int prepared = 0;
    const tenon::testing::test_database_options options{.prepare =
                                                            [&](const std::string& url) {
                                                                ++prepared;
                                                                ask(url, "CREATE TABLE item AS SELECT 1 AS n");
                                                            },
                                                        .key = "prepared once"};
    const test_database one{shared_cluster(), options};
    const test_database two{shared_cluster(), options};
    ask(one.url(), "INSERT INTO item VALUES (2)");

    CHECK(prepared == 1);
    CHECK(ask(one.url(), "SELECT sum(n) FROM item") == "3");
    CHECK(ask(two.url(), "SELECT sum(n) FROM item") == "1");
}

TEST_CASE("threads that ask for one key at once get one template") {
    std::atomic<int> prepared{0};
    const tenon::testing::test_database_options options{.prepare =
                                                            [&](const std::string& url) {
                                                                ++prepared;
                                                                ask(url, "CREATE TABLE item AS SELECT 1 AS n");
                                                            },
                                                        .key = "asked for at once"};
    std::vector<std::future<std::string>> answers;
    for (int i = 0; i < 4; ++i) {
        answers.push_back(std::async(std::launch::async, [&] {
            const test_database database{shared_cluster(), options};
            return ask(database.url(), "SELECT n FROM item");
        }));
    }

    for (std::future<std::string>& answer : answers)
        CHECK(answer.get() == "1");
    CHECK(prepared == 1);
}

TEST_CASE("without a key every database is prepared") {
    int prepared = 0;
    const tenon::testing::test_database_options options{
        .prepare = [&](const std::string& url) { ask(url, "CREATE TABLE item" + std::to_string(++prepared) + " ()"); }};
    const test_database one{shared_cluster(), options};
    const test_database two{shared_cluster(), options};

    CHECK(prepared == 2);
    CHECK(ask(two.url(), "SELECT to_regclass('item2')") == "item2");
}

TEST_CASE("a preparation that fails leaves nothing behind and is tried again") {
    std::vector<std::string> failed;
    const auto fail = [&](const std::string& url) {
        failed.push_back(ask(url, "SELECT current_database()"));
        throw std::runtime_error{"no"};
    };
    CHECK_THROWS_AS((test_database{shared_cluster(), {.prepare = fail, .key = "fails"}}), std::runtime_error);
    CHECK_THROWS_AS((test_database{shared_cluster(), {.prepare = fail}}), std::runtime_error);
    REQUIRE(failed.size() == 2);
    CHECK_FALSE(exists(failed[0]));
    CHECK_FALSE(exists(failed[1]));

    const auto succeed = [](const std::string& url) { ask(url, "CREATE TABLE item ()"); };
    const test_database database{shared_cluster(), {.prepare = succeed, .key = "fails"}};

    CHECK(ask(database.url(), "SELECT to_regclass('item')") == "item");
}

TEST_CASE("a database that is told to be kept stays") {
    std::string name;
    {
        test_database database{shared_cluster()};
        database.keep();
        name = database.name();
    }
    CHECK(exists(name));
}

TEST_CASE("a named server's connection string is in no message") {
    for (const char* text :
         {" postgresql://app:hunter2@db/app", "\"postgresql://app:hunter2@db/app\"", "Postgres://app:hunter2@db/app",
          "postgresql://app:12/hunter2@127.0.0.1:1/app", "host=127.0.0.1 port=1 password='hunter2", "hunter2",
          "host=127.0.0.1 port=1 password=hunter2 sslmode=hunter2", "postgresql://app:hun%zzter2@db/app"}) {
        INFO(text);
        const environment_variable named{"TENON_TEST_URL", text};
        CHECK_THROWS_MATCHES(test_database{}, cluster_error, MessageMatches(!ContainsSubstring("hunter2")));
        try { // some are enough to know the server's address
            const gate door{text};
        } catch (const cluster_error& refused) {
            CHECK_THAT(refused.what(), !ContainsSubstring("hunter2"));
        }
    }
}

TEST_CASE("on a named server a failed test's database is kept, and a passed one's is not") {
    const cluster lasting{{.settings = {{"tenon.ephemeral", "off"}}}};
    const environment_variable named{"TENON_TEST_URL", lasting.url()};
    std::string passed;
    std::string failed;

    try {
        {
            const test_database database;
            passed = database.name();
            CHECK(ask(database.url(), "SELECT 1") == "1");
        }
        const test_database database;
        failed = database.name();
        throw std::runtime_error{"as REQUIRE does"};
    } catch (const std::runtime_error&) {
    }

    CHECK_FALSE(exists(passed, lasting));
    CHECK(exists(failed, lasting));
}

TEST_CASE("on a named server that is an ephemeral cluster a failed test's database is dropped") {
    const environment_variable named{"TENON_TEST_URL", shared_cluster().url()};
    std::string failed;

    try {
        const test_database database;
        failed = database.name();
        CHECK(exists(failed));
        throw std::runtime_error{"as REQUIRE does"};
    } catch (const std::runtime_error&) {
    }

    CHECK_FALSE(exists(failed));
}

TEST_CASE("without a named server a test database is on the process's own") {
    const environment_variable named{"TENON_TEST_URL", ""};
    const test_database database;

    CHECK(exists(database.name()));
}

TEST_CASE("on an ephemeral cluster a failed test's database is dropped") {
    std::string failed;

    try {
        const test_database database{shared_cluster()};
        failed = database.name();
        throw std::runtime_error{"as REQUIRE does"};
    } catch (const std::runtime_error&) {
    }

    CHECK_FALSE(exists(failed));
}

TEST_CASE("a test database may end after its server crashed") {
    cluster server;
    const test_database database{server};

    CHECK_NOTHROW(server.crash());
}
