#include <tenon/pg/detail/conninfo.hpp>

#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/core/error.hpp>
#include <tenon/pg/connection.hpp>
#include <tenon/pg/listener.hpp>
#include <tenon/pg/pool.hpp>

using namespace tenon;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

// What a connection says of it. None of these needs a server: they fail before one is dialled.
std::string refusal_of(const std::string& conninfo) {
    try {
        connection{conninfo, {.connect_timeout = 1s}};
    } catch (const connection_failed& refused) {
        return refused.what();
    }
    return {};
}

const std::string unreadable[]{
    // Not recognised as an URL, so libpq would take all of it for a database's name.
    " postgresql://app:hunter2@db/app",
    "\tpostgres://app:hunter2@db/app",
    "\"postgresql://app:hunter2@db/app\"",
    "'postgresql://app:hunter2@db/app'",
    "postgresql+psycopg://app:hunter2@db/app",
    "postgresql+asyncpg://app:hunter2@db/app",
    "Postgres://app:hunter2@db/app",
    "POSTGRESQL://app:hunter2@db/app",
    "jdbc:postgresql://db/app;password:hunter2",
    "postgresql:/app:hunter2@db/app",
    "mysql://app:hunter2@db/app",
    "app:hunter2@db/app",
    "db hunter2",
    "user:app password:hunter2",
    "db/hunter2",
    "DATABASE_URL:hunter2",
    "hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hu", // longer than any name
    // So, too, and with an equals sign.
    " postgresql://app:hunter2@db/app?sslmode=require",
    "\"postgresql://app:hunter2@db/app?connect_timeout=5\"",
    "Postgres://app:hunter2@db/app?sslmode=require",
    "DATABASE_URL=postgresql://app:hunter2@db/app",
    "host=127.0.0.1 port=1 user=app password='hunter2",
    "host=db user=app pasword=hunter2",
    "host=db password=hunt hunter2",
    "password=hunter2 host",
    // A password with special characters.
    "postgresql://app:12/hunter2@127.0.0.1:1/app",
    "postgresql://app:hunter2/x@db/app",
    "postgresql://app:hun%zzter2@db/app",
    "postgresql://app:hunt@hunter2@db/app",
    "postgresql://app:99999999/hunter2",
    "postgresql://app:12345678hunter2",
    "host=db port=hunter2",
    "host=app:hunter2@db",
    "host=db,app:hunter2@other",
    "hostaddr=app:hunter2@127.0.0.1",
    "dbname=app:hunter2@db",
    "dbname=postgresql://app:hunter2@db/app host=127.0.0.1",
    "postgresql://db/app?dbname=app:hunter2@db",
    std::string("app\0hunter2", 11),
};

} // namespace

TEST_CASE("a connection string that is none is refused unseen, before a server is dialled") {
    for (const std::string& text : unreadable) {
        INFO(text);
        CHECK_FALSE(detail::is_readable_conninfo(text));
        CHECK(refusal_of(text) == detail::unreadable_conninfo);
        CHECK_THROWS_AS(pool(text), connection_failed);
        CHECK_THROWS_AS(listener(text, {"news"}), connection_failed);
    }
}

TEST_CASE("connection strings as libpq takes them are readable") {
    for (const std::string& text : std::vector<std::string>{"",
                                                            "app",
                                                            "app_production-2",
                                                            "app.eu$1",
                                                            "datenb\xc3\xa4nke",
                                                            "postgresql://",
                                                            "postgresql:///app",
                                                            "postgres://app:hunter2@db/app",
                                                            "postgresql://app:hunt%40er2@db:5432/app?sslmode=require",
                                                            "postgresql://app:1#hunter2@127.0.0.1:1/app",
                                                            "postgresql://[::1]:5432/app",
                                                            "host=db dbname=app",
                                                            "host = 'db' user='a b' password='hunter 2'",
                                                            "host=a,b,c port=1,,65535",
                                                            "host=@abstract dbname=app",
                                                            "postgresql://a:1,b:2/app?target_session_attrs=primary",
                                                            "postgresql://app@/app?host=%2Ftmp&port=5432",
                                                            "postgresql://db/app%40production",
                                                            "user=app@corp.example",
                                                            "service=app",
                                                            "host=/tmp password=a@b/c"}) {
        INFO(text);
        CHECK(detail::is_readable_conninfo(text));
    }
}

TEST_CASE("a bare word is a database's name to libpq, and an equals sign or a scheme makes it a connection string") {
    CHECK_FALSE(detail::is_connection_string("app"));
    CHECK(detail::is_connection_string("dbname=app"));
    CHECK(detail::is_connection_string("postgres://db"));
    CHECK_FALSE(detail::is_connection_string("Postgres://db"));
}

TEST_CASE("what libpq says of an option that it refuses does not show the option's value") {
    for (const std::string option :
         {"sslmode", "gssencmode", "channel_binding", "target_session_attrs", "ssl_min_protocol_version", "keepalives",
          "keepalives_idle", "tcp_user_timeout", "connect_timeout", "hostaddr", "service"})
        for (const std::string& conninfo : {"host=127.0.0.1 port=1 user=app password=secret " + option + "=hunter2",
                                            "postgresql://app:secret@127.0.0.1:1/app?" + option + "=hunter2"}) {
            INFO(conninfo);
            const std::string message = refusal_of(conninfo);
            CHECK_THAT(message, ContainsSubstring("cannot connect") && !ContainsSubstring("hunter2") &&
                                    !ContainsSubstring("secret"));
        }
    CHECK_THAT(refusal_of("host=127.0.0.1 port=1 sslmode=hunter2"),
               ContainsSubstring("invalid sslmode value: \"(not shown)\""));
    CHECK_THAT(refusal_of("host=127.0.0.1 port=1 user=app password=hunter2 sslmode=require"),
               ContainsSubstring("127.0.0.1") && ContainsSubstring("port 1") && !ContainsSubstring("not shown"));
    for (const char* text : {"postgresql://app:1#hunter2@127.0.0.1:1/app", "postgres://app:1?hunter2@127.0.0.1:1/app"})
        CHECK_THAT(refusal_of(text), ContainsSubstring("127.0.0.1") && !ContainsSubstring("hunter2"));
}
