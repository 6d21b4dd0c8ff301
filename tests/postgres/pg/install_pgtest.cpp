#include <tenon/pg/install.hpp>

#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

// Roles belong to the server: they are named after the database, and go with it.
struct roles : database_fixture {
    std::string prefix = name_of(db);
    std::string installer = prefix + "_installer";
    std::string stranger = prefix + "_stranger";

    roles() {
        run("create role " + installer + "; create role " + stranger);
        run("grant create on database " + prefix + " to " + installer + ", " + stranger);
    }
    ~roles() {
        try {
            run("drop owned by " + installer + ", " + stranger + "; drop role " + installer + ", " + stranger);
        } catch (const std::exception&) { // they go with the server
        }
    }

    static std::string name_of(connection& db) {
        return db.transact(
            [](transaction& tx) { return query<std::string>{"select current_database()::text"}.one(tx); });
    }
    void make_schema_as(const std::string& owner) {
        run("create schema tenon authorization " + owner + "; grant usage on schema tenon to public");
    }
    void install_as(const std::string& role) {
        db.transact([&](transaction& tx) {
            tx.execute("set local role " + role);
            install(tx);
            install(tx); // nothing is missing any more
        });
    }
    std::uint64_t scripts() {
        return db.transact([](transaction& tx) { return tx.execute("select from tenon.installed"); });
    }
};

template <class Install>
void check_refused(Install install) {
    CHECK_THROWS_MATCHES(install(), error,
                         MessageMatches(ContainsSubstring("the schema tenon belongs to role") &&
                                        ContainsSubstring("alter schema tenon owner")));
}

} // namespace

TEST_CASE("a schema tenon of somebody else is refused, and what is in it is not run") {
    roles t;
    t.make_schema_as(t.stranger);
    // Says that all is installed, and would run code as whoever reads it.
    t.run("set local role " + t.stranger +
          "; create function tenon.trap() returns text language plpgsql as $$ begin raise exception 'trapped'; end $$;"
          "create view tenon.installed as select tenon.trap() as script; grant select on tenon.installed to public");
    SECTION("by a role that may install") {
        check_refused([&] { t.install_as(t.installer); });
    }
    SECTION("by a superuser, who counts as a member of every role") {
        check_refused([&] { t.db.transact([](transaction& tx) { install(tx); }); });
    }
    SECTION("and an empty one, too") {
        t.run("drop schema tenon cascade");
        t.make_schema_as(t.stranger);
        check_refused([&] { t.install_as(t.installer); });
        check_refused([&] { t.db.transact([](transaction& tx) { install(tx); }); });
    }
}

TEST_CASE("a schema tenon is used that belongs to a role which is trusted") {
    roles t;
    SECTION("nobody has made one") {
        t.install_as(t.installer);
    }
    SECTION("the installer's") {
        t.make_schema_as(t.installer);
        t.install_as(t.installer);
    }
    SECTION("that of a role which the installer is a member of") {
        t.make_schema_as(t.stranger);
        t.run("grant " + t.stranger + " to " + t.installer);
        t.install_as(t.installer);
    }
    SECTION("a superuser's") {
        t.run("create schema tenon; grant usage, create on schema tenon to " + t.installer);
        t.install_as(t.installer);
    }
    SECTION("the database owner's") {
        t.run("alter database " + t.prefix + " owner to " + t.stranger);
        t.make_schema_as(t.stranger);
        t.run("grant create on schema tenon to " + t.installer);
        t.install_as(t.installer);
        t.run("alter database " + t.prefix + " owner to current_user");
    }
    SECTION("pg_database_owner's") {
        t.make_schema_as("pg_database_owner");
        t.db.transact([](transaction& tx) { install(tx); });
    }
    CHECK(t.scripts() > 0);
}
