// tenon's own SQL names what it means: no schema of a search_path, and no position of pg_catalog in it, can put
// something else in front.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <tenon/tenon.hpp>

#include "unit/sql/unqualified_sql.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace {

struct finding {
    std::size_t texts = 0; // of SQL
    std::string report{};

    void add(const std::string& place, std::string_view sql, sql_about about) {
        ++texts;
        for (const std::string& fault : unqualified_in(sql, about))
            report.append(place).append(": ").append(fault).append("\n");
    }
};

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

// The parts that repositories put SQL together from: about users' tables, and each literal is one.
bool renders(const std::string& place) {
    return place.starts_with("include/tenon/repository/") || place.starts_with("include/tenon/sql/");
}

void look_into(finding& found, const std::string& place, const std::string& source) {
    if (place.ends_with(".sql")) {
        found.add(place, source, sql_about::own_tables);
        return;
    }
    for (const std::string& literal : literals_of(source))
        if (renders(place) ? !literal.starts_with("tenon: ") : looks_like_sql(literal))
            found.add(place, literal, renders(place) ? sql_about::users_tables : sql_about::own_tables);
}

finding look_through(const std::filesystem::path& root, const char* folder) {
    finding found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder))
        if (entry.is_regular_file())
            look_into(found, std::filesystem::relative(entry.path(), root).generic_string(), text_of(entry.path()));
    return found;
}

struct Line {
    std::int64_t order_id{};
    std::int32_t position{};
    std::int32_t changes{};
    timestamp at{};
    std::string text{};
    uuid token{};
    bool open{};
    float weight{};
    double price{};
    std::vector<std::string> tags{};
    std::vector<std::int64_t> numbers{};
    std::vector<uuid> tokens{};
    date day{};
    numeric amount{};
    bytes blob{};
    std::optional<range<std::int32_t>> span{};
    json_text extra{};

    static constexpr auto table =
        tenon::table("app.lines", key<&Line::order_id, &Line::position>, version<&Line::changes>, generated<&Line::at>);
};

struct Entry {
    uuid id{};
    std::string name{};
    timestamp at{};
    static constexpr auto table = tenon::table("entries", key<&Entry::id>, generated<&Entry::id, &Entry::at>);
};

} // namespace

TEST_CASE("all SQL in the library's sources is qualified", "[qualified]") {
    const std::filesystem::path root = TENON_SOURCES;
    const finding sources = look_through(root, "src");
    const finding headers = look_through(root, "include");
    const finding scripts = look_through(root, "sql");
    CHECK(sources.report == "");
    CHECK(headers.report == "");
    CHECK(scripts.report == "");
    // It has read something.
    CHECK(sources.texts > 80);
    CHECK(headers.texts > 80);
    CHECK(scripts.texts >= 1);
}

TEST_CASE("what repositories render names functions and built-in types with their schema", "[qualified]") {
    using detail::projection;
    const auto all_of = []<class R>(R*) {
        std::vector<std::string_view> texts{
            sql_text<detail::insert_sql<R>>,
            sql_text<detail::insert_many_sql<R>>,
            sql_text<detail::copy_in_sql<R>>,
            sql_text<detail::copy_out_sql<R>>,
            sql_text<detail::find_sql<R>>,
            sql_text<detail::update_sql<R>>,
            sql_text<detail::find_many_sql<R>>,
            sql_text<detail::upsert_sql<R>>,
            sql_text<detail::erase_sql<R>>,
            sql_text<detail::create_table_sql<R>>,
            sql_text<detail::create_staging_sql<R>>,
            sql_text<detail::copy_to_staging_sql<R>>,
            sql_text<detail::upsert_staged_sql<R>>,
            sql_text<detail::merge_staged_sql<R>>,
            sql_text<detail::select_sql<R, everything<R>, projection::records, true>>,
            sql_text<detail::select_sql<R, everything<R>, projection::count, false>>,
            sql_text<detail::select_sql<R, everything<R>, projection::existence, true>>,
        };
        return texts;
    };
    finding found;
    for (const std::string_view text : all_of(static_cast<Line*>(nullptr)))
        found.add("Line", text, sql_about::users_tables);
    for (const std::string_view text : all_of(static_cast<Entry*>(nullptr)))
        found.add("Entry", text, sql_about::users_tables);
    CHECK(found.texts == 34);
    CHECK(found.report == "");
}

TEST_CASE("a type is qualified as the grammar has it: keywords of SQL and types of the user are not", "[qualified]") {
    STATIC_CHECK(sql_text<detail::create_table_sql<Entry>> ==
                 R"(create table if not exists "entries" ("id" pg_catalog.uuid not null)"
                 R"( default pg_catalog.gen_random_uuid(), "name" pg_catalog.text not null,)"
                 R"( "at" pg_catalog.timestamptz not null default pg_catalog.now(), primary key ("id")))");
    const std::string_view many = sql_text<detail::insert_many_sql<Line>>;
    for (const std::string_view cast : {"$1::bigint[])", "::pg_catalog.uuid[])", "::double precision[])",
                                        "::bigint[][])", "::numeric[])", "::pg_catalog.int4range[])", "::boolean[])"}) {
        INFO(cast);
        CHECK(many.find(cast) != std::string_view::npos);
    }
    struct rendered {
        static constexpr void render(sql_writer& out) { detail::put_type(out, {"mood", 0, 0}); }
    };
    CHECK(std::string_view(sql_text<rendered>) == "mood");
}

TEST_CASE("the check finds what it is there for", "[qualified]") {
    struct {
        std::string_view sql;
        std::string_view report; // what it begins with; empty: nothing is wrong
    } const cases[]{
        {"select pg_catalog.now()", ""},
        {"select now()", "function now"},
        {"select pg_catalog.max(lower(name)) from tenon.t", "function lower"},
        {"select tenon.f($1), pg_catalog.count(*), t.* from tenon.t t", ""},
        {"select coalesce((select 1), 0), exists (select 1), extract(epoch from t.at) from tenon.t t", ""},
        {"select extract(epoch from now())", "function now"},
        {"select 1 where a operator(pg_catalog.=) b", ""},
        {"select 1 where a = b", "operator ="},
        {"select 1 where a operator(public.=) b", "operator ="},
        {"select a + 1 from tenon.t", "operator +"},
        {"select a * 2 from tenon.t", "operator *"},
        {"select a->>'b' from tenon.t", "operator ->>"},
        {"select 'a = b' from tenon.t", ""},
        {"select a -- a = b\nfrom tenon.t", ""},
        {"update tenon.t set a = 1, b = $1 where c operator(pg_catalog.=) 2", ""},
        {"update tenon.t set a = (b = c)", "operator ="},
        {"update tenon.t set a = b + 1", "operator +"},
        {"update tenon.t set a = 1 where b = 2", "operator ="},
        {"insert into tenon.t (a) values (1) on conflict (a) do update set a = excluded.a where t.a <> 1",
         "operator <>"},
        {"select 1 from tenon.t where a in (1, 2)", "operator = behind in"},
        {"select 1 from tenon.t where a operator(pg_catalog.=) any (select 1)", ""},
        {"select case a when 1 then 2 end from tenon.t", "operator = behind case"},
        {"select case when a then 2 end from tenon.t", ""},
        {"select a is distinct from b from tenon.t", "operator = behind distinct"},
        {"select nullif(a, b) from tenon.t", "function nullif"},
        {"select 1 from tenon.t where a like 'b%'", "operator behind like"},
        {"select 1 from tenon.t where a between 1 and 2", "operator behind between"},
        {"select 1 from tenon.a join tenon.b using (id)", "operator = behind using"},
        {"select $1::text", "type text"},
        {"select $1::pg_catalog.text, $2::bigint, $3::bit(32)::integer, $4::interval", ""},
        {"select cast($1 as text)", "keyword cast"},
        {"select $1::mood", "type mood"},
        {"create table tenon.t (name text)", "type text"},
        {"create table tenon.t (name pg_catalog.text, at timestamptz default null)", "type timestamptz"},
        {"create table tenon.t (name pg_catalog.name, id bigint not null)", ""},
        {"create table tenon.t (id bigint generated always as identity, primary key (id))", ""},
        {"create table t (id bigint)", "table t"},
        {"create function tenon.f(a text) returns bigint return 1", "type text"},
        {"create function tenon.f() returns void language plpgsql as $$ begin end $$", "type void"},
        {"create function tenon.f() returns bigint language plpgsql as $$ begin return abs(1); end $$", "function abs"},
        {"create function tenon.f() returns bigint set search_path = pg_catalog, pg_temp return 1", ""},
        {"select 1 from pg_class", "table pg_class"},
        {"select 1 from pg_catalog.pg_class, pg_type", "name pg_type"},
        {"select 1 from t", "table t"},
        {"insert into t values (1)", "table t"},
        {"with a as (select 1), b as materialized (select 2) select 1 from a join b on true", ""},
        {"with a as (select 1) select 1 from c", "table c"},
    };
    for (const auto& planted : cases) {
        INFO(planted.sql);
        const std::vector<std::string> found = unqualified_in(planted.sql);
        CHECK(found.empty() == planted.report.empty());
        if (!found.empty())
            CHECK(std::string_view(found.front()).substr(0, planted.report.size()) == planted.report);
    }
    CHECK(unqualified_in("select count(*) from \"users\" where \"id\" = any($1)", sql_about::users_tables).size() == 1);
    CHECK(unqualified_in("select \"id\"::text from \"users\"", sql_about::users_tables).size() == 1);
}

TEST_CASE("the check sees SQL in C++, and leaves sentences alone", "[qualified]") {
    const auto report = [](const std::string& place, const std::string& source) {
        finding found;
        look_into(found, place, source);
        return found.report;
    };
    CHECK(report("src/pg/a.cpp", "run(\"select \" // why\n \"now()\");") != "");
    CHECK(report("src/pg/a.cpp", "run(R\"sql(select now())sql\");") != "");
    CHECK(report("src/pg/a.cpp", "run(\"select a\" + name + \" from tenon.t where b = 1\");") != "");
    CHECK(report("src/pg/a.cpp", "char c = '\"'; run(\"SELECT NOW()\");") != "");
    CHECK(report("src/pg/a.cpp", "char c = '\\''; run(\"select 'x', now()\");") != "");
    CHECK(report("src/pg/a.cpp", "// run(\"select now()\");\n#include \"select now()\"\n/* \"select now()\" */") == "");
    CHECK(report("src/pg/a.cpp", "throw error(\"update: the row (of x) = y\");") == "");
    CHECK(report("src/pg/a.cpp", "throw error(\"create it (migrations), or correct its name\");") == "");
    CHECK(report("include/tenon/repository/a.hpp", "out.put(\"unnest(\");") != "");
    CHECK(report("include/tenon/repository/a.hpp", "out.put(\" = any(\");") == "");
    CHECK(report("sql/migrations/a.up.sql", "create table tenon.t (a text);") != "");
}
