// Somebody else's functions, operators and types stand in front of PostgreSQL's own in the search_path, as in
// CVE-2018-1058: tenon's own SQL runs none of them.
#include <string>
#include <tuple>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>

#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace search_path_pgtest {

enum class mood { fine, bad };

struct Note {
    std::int64_t id{};
    std::string text;
    mood how{};
    std::int32_t changes{};
    timestamp at{};
    uuid token{};

    static constexpr auto table = tenon::table("note", tenon::key<&Note::id>, tenon::version<&Note::changes>,
                                               tenon::generated<&Note::id, &Note::at>);
};

struct Plain {
    uuid id{};
    std::string name;
    timestamp at{};

    static constexpr auto table =
        tenon::table("plain", tenon::key<&Plain::id>, tenon::generated<&Plain::id, &Plain::at>);
};

} // namespace search_path_pgtest

using search_path_pgtest::mood;
using search_path_pgtest::Note;
using search_path_pgtest::Plain;

namespace {

// What raises is also in the server's log, whoever catches it.
constexpr const char* trapped = "taken over";

// A twin of (nearly) everything in pg_catalog, and better matches for calls that need an implicit cast.
constexpr const char* traps = R"(
set local search_path = pg_catalog;
set local check_function_bodies = off;
do $make$
declare
    it record;
    body constant text := $$begin raise exception 'taken over: %'; end$$;
begin
    for it in
        select p.proname, format_type(p.prorettype, null) as result, p.proretset,
               coalesce((select string_agg(format_type(t, null), ', ' order by n)
                         from unnest(p.proargtypes) with ordinality as u(t, n)), '') as arguments
        from pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f'
          and not exists (select from pg_type t where t.oid = any (p.proargtypes::oid[] || p.prorettype)
                          and t.typtype = 'p' and t.typname !~ '^any[a-z]+$'
                          and not (t.oid = p.prorettype and t.typname = 'void'))
    loop
        execute format('create function public.%I(%s) returns %s %s language plpgsql as %L', it.proname, it.arguments,
                       case when it.proretset then 'setof' end, it.result, replace(body, '%', it.proname));
    end loop;
    for it in
        select o.oid, o.oprname, format_type(o.oprresult, null) as result,
               case when o.oprleft <> 0 then format_type(o.oprleft, null) end as l, format_type(o.oprright, null) as r
        from pg_operator o where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprresult <> 0
    loop
        execute format('create function public.trap_%s(%s) returns %s language plpgsql as %L', it.oid,
                       concat_ws(', ', it.l, it.r), it.result, replace(body, '%', it.oprname));
        execute format('create operator public.%s (function = public.trap_%s, %srightarg = %s)', it.oprname, it.oid,
                       'leftarg = ' || it.l || ', ', it.r);
    end loop;
end
$make$;
create function public.hashtextextended(text, integer) returns bigint
    language plpgsql as $$ begin raise exception 'taken over: hashtextextended'; end $$;
create function public.better(numeric, bigint) returns boolean
    language plpgsql as $$ begin raise exception 'taken over: a better match'; end $$;
create operator public.>= (leftarg = numeric, rightarg = bigint, function = public.better);
create function public.better(numeric, integer) returns numeric
    language plpgsql as $$ begin raise exception 'taken over: a better match'; end $$;
create operator public.* (leftarg = numeric, rightarg = integer, function = public.better);
create function public.trap() returns boolean
    language plpgsql as $$ begin raise exception 'taken over: a type'; end $$;
create function public.more(bigint) returns bigint
    language plpgsql as $$ begin raise exception 'taken over: an aggregate'; end $$;
create function public.more(bigint, boolean) returns bigint
    language plpgsql as $$ begin raise exception 'taken over: an aggregate'; end $$;
create function public.more(text, text, text) returns text
    language plpgsql as $$ begin raise exception 'taken over: an aggregate'; end $$;
create aggregate public.count(*) (sfunc = public.more, stype = bigint, initcond = '0');
create aggregate public.count(boolean) (sfunc = public.more, stype = bigint, initcond = '0');
create aggregate public.string_agg(text, text) (sfunc = public.more, stype = text, initcond = '');
create domain public.text as pg_catalog.text check (public.trap());
create domain public.uuid as pg_catalog.uuid check (public.trap());
create domain public.timestamptz as pg_catalog.timestamptz check (public.trap());
create domain public.oid as pg_catalog.oid check (public.trap());
create domain public.regclass as pg_catalog.regclass check (public.trap());
create domain public.xid8 as pg_catalog.xid8 check (public.trap());
create table public.pg_class ();
create table public.pg_namespace ();
create table public.pg_roles ();
create table public.pg_settings ();
)";

struct hostile {
    testing::cluster primary{};
    testing::cluster standby;

    explicit hostile(const std::string& path) : standby(prepared(primary, path).standby()) {}

    static testing::cluster& prepared(testing::cluster& server, const std::string& path) {
        connection admin{server.url()};
        admin.transact([&](transaction& tx) {
            tx.execute("create role app login");
            tx.execute("create type public.mood as enum ('fine', 'bad');"
                       "create table public.note (id bigint generated always as identity primary key,"
                       " text text not null, how public.mood not null, changes integer not null,"
                       " at timestamptz not null default now(), token uuid not null)");
            tx.execute(traps);
            tx.execute("set local search_path = pg_catalog; alter database postgres set search_path = " + path);
        });
        return server;
    }

    [[nodiscard]] std::string hosts() const {
        return "host=" + primary.socket_directory().string() + "," + standby.socket_directory().string() +
               " port=" + std::to_string(primary.port()) + "," + std::to_string(standby.port()) +
               " user=postgres dbname=postgres";
    }
};

Note note(std::string text) {
    return {.text = std::move(text), .how = mood::bad, .token = uuid::v4()};
}

void lock_and_notify(const hostile& t) {
    connection db{t.primary.url()};
    {
        const advisory_lock lock{db, "job", 10s};
    }
    db.transact([](transaction& tx) {
        lock_until_end(tx, "one");
        CHECK(try_lock_until_end(tx, "two"));
    });
    listener heard{t.primary.url(), {"news"}};
    db.transact([](transaction& tx) {
        tx.set_local("application_name", "hostile");
        notify(tx, "news", "good");
    });
    CHECK(heard.next({})->payload == "good");

    transaction kept(db, {.keep_id = true});
    kept.execute("select 1");
    kept.commit();
    const std::uint64_t id = kept.id();
    CHECK(db.transact([id](transaction& tx) { return commit_status(tx, id); }) == commit_state::committed);
}

void act_for_a_tenant(const hostile& t) {
    connection db{"host=" + t.primary.socket_directory().string() + " port=" + std::to_string(t.primary.port()) +
                  " user=app dbname=postgres"};
    db.transact([](transaction& tx) { tx.act_as_tenant("acme"); });
    connection admin{t.primary.url()};
    CHECK_THROWS_AS(admin.transact([](transaction& tx) { tx.act_as_tenant("acme"); }), tenant_not_isolated);
}

void elect(const hostile& t) {
    pool db{t.primary.url(), {.max_size = 4}};
    db.transact([](transaction& tx) { install(tx); });
    db.transact([](transaction& tx) { install(tx); });
    election job{db, "job", {.candidate = "ada", .lease = 10s, .poll = 50ms}};
    {
        const auto leadership = job.campaign({});
        REQUIRE(leadership);
        leadership->transact([](transaction& tx) { tx.execute("select 1"); });
        leadership->transact({.level = isolation::serializable}, [](transaction& tx) { tx.execute("select 1"); });
        db.transact([&](transaction& tx) {
            CHECK(leader_of(tx, "job")->candidate == "ada");
            CHECK(candidates_of(tx, "job") == 1);
            CHECK(prefer(tx, "job", "ada", 1s));
            exclude(tx, "job", "grace");
            require_token(tx, "job", leadership->token());
            const fence_guard disk{"disk"};
            disk.admit(tx, leadership->token());
            disk.admit(tx, leadership->token());
        });
    }
    const auto again = job.campaign({});
    REQUIRE(again);
    CHECK(again->token().term == 2);
}

void store(const hostile& t) {
    connection db{t.primary.url()};
    db.transact([](transaction& tx) {
        repository<Note> notes{tx};
        notes.insert(note("one"));
        notes.insert_many(std::vector{note("two"), note("three")});
        notes.copy_in(std::vector{note("four")});
        CHECK(notes.count() == 4);
        CHECK(notes.every().exists());
        std::vector<std::string> read;
        for (const Note& each : notes.every().stream())
            read.push_back(each.text);
        CHECK(read.size() == 4);
        CHECK(notes.every().order_by(desc(col<&Note::id>)).limit(1).all().at(0).how == mood::bad);
        create_table<Plain>(tx);
        CHECK(repository<Plain>{tx}.insert({.name = "one"}).name == "one");
    });
}

// Operators on the users' columns are looked up in the search_path: here pg_catalog comes first in it.
void change(const hostile& t) {
    connection db{t.primary.url()};
    db.transact([](transaction& tx) {
        repository<Note> notes{tx};
        Note one = notes.insert(note("change me"));
        one.text = "changed";
        one = notes.update(one);
        CHECK(one.changes == 1);
        notes.update(one.id, col<&Note::text>, "again");
        CHECK(notes.find(one.id)->text == "again");
        CHECK(notes.find_many(std::vector{one.id}).size() == 1);
        CHECK(notes.where(like(col<&Note::text>, "ag%") && col<&Note::id> >= one.id && col<&Note::how> == mood::bad)
                  .count() == 1);
        CHECK(notes.erase(one.id));
    });
}

void read(const hostile& t) {
    pool db{t.hosts(), {.max_size = 2}};
    const auto place = [&](const read_options& how) {
        return db.read_only(
            how, [](transaction& tx) { return query<bool>{"select pg_catalog.pg_is_in_recovery()"}.one(tx); });
    };
    CHECK(place({.max_lag = 1h}));
    db.transact([](transaction& tx) { repository<Note>{tx}.insert(note("for the standby")); });
    CHECK(place({.after = db.position(), .patience = 60s}));
}

} // namespace

TEST_CASE("hostile functions, operators and types in the search_path take none of tenon's own SQL over") {
    const bool catalog_last = GENERATE(false, true);
    const std::string path = catalog_last ? "public, pg_catalog" : "public";
    CAPTURE(path);
    const hostile t{path};
    // The traps work.
    connection db{t.primary.url()};
    CHECK_THROWS_AS(
        db.transact([](transaction& tx) { tx.execute("select hashtextextended($1, 0)", std::string("x")); }), error);
    if (catalog_last)
        CHECK_THROWS_AS(db.transact([](transaction& tx) { tx.execute("select 1 + 1"); }), error);
    const std::string before = t.primary.log();
    CHECK_THAT(before, ContainsSubstring(trapped));

    CHECK_NOTHROW(lock_and_notify(t));
    CHECK_NOTHROW(act_for_a_tenant(t));
    CHECK_NOTHROW(elect(t));
    CHECK_NOTHROW(store(t));
    if (!catalog_last)
        CHECK_NOTHROW(change(t));
    CHECK_NOTHROW(read(t));
    CHECK_THAT(t.primary.log().substr(before.size()), !ContainsSubstring(trapped));
    CHECK_THAT(t.standby.log(), !ContainsSubstring(trapped));
}
