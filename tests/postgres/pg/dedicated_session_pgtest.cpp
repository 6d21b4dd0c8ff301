#include <tenon/pg/detail/dedicated_session.hpp>

#include <string>

#include <catch2/catch_test_macros.hpp>

#include "postgres/testing/environment_variable.hpp"
#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

TEST_CASE("an election's session has the settings of PGOPTIONS, but not where its lease depends on them") {
    const testing::test_database database;
    const environment_variable options("PGOPTIONS", "-c tenon_test.colour=green -c idle_session_timeout=1");
    detail::dedicated_session session{{.conninfo = database.url(),
                                       .application_name = "dedicated",
                                       .lease = 60s,
                                       .connect_timeout = 60s,
                                       .lock_timeout = 60s}};
    session.open({});
    const auto setting = [&](std::string_view name) {
        return session.ask("select current_setting($1, true)", {name}, boot_clock::now() + 60s).at(0).at(0);
    };
    CHECK(setting("tenon_test.colour") == "green");
    CHECK(setting("idle_session_timeout") == "1min");
    CHECK(setting("statement_timeout") == "1min");
}
