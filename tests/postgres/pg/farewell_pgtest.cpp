// What the server said before it hung up, heard on every path.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pqxx_interop.hpp>

#include "support/database_fixture.hpp"
#include "support/end_backend.hpp"
#include "support/eventually.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace farewell_pgtest {

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("row", tenon::key<&Row::id>);
};

/// Ends in a wait of ten minutes.
struct SlowRow {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("slow_row", tenon::key<&SlowRow::id>);
};

struct ended : database_fixture {
    connection one{database.url()};

    ended() {
        run("create table row (id bigint primary key, text text not null);"
            "insert into row select i, repeat('x', 500) from generate_series(1, 300) i;"
            "create view slow_row as select i as id, case when i > 40 then pg_sleep(600)::text else repeat('x', 1000)"
            " end as text from generate_series(1::bigint, 100) i");
        one.transact([](transaction& tx) { (void)repository<Row>{tx}.find(std::int64_t{1}); });
    }
    void end() { end_backend(db, one.backend_pid()); }
    /// While the session waits for the server.
    void end_in_its_sleep() {
        static constexpr query<bool, int> sleeps{
            "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')"};
        (void)eventually(
            [&] { return db.transact([&](transaction& tx) { return sleeps.one(tx, one.backend_pid()); }); });
        end();
    }
};

struct path {
    const char* name;
    std::function<void(ended&, transaction&)> run;
};

std::vector<path> paths() {
    return {
        {"raw SQL",
         [](ended& t, transaction& tx) {
             t.end();
             tx.execute("select 1");
         }},
        {"a known statement",
         [](ended& t, transaction& tx) {
             t.end();
             (void)repository<Row>{tx}.find(std::int64_t{2});
         }},
        {"a new statement",
         [](ended& t, transaction& tx) {
             t.end();
             (void)repository<Row>{tx}.erase(std::int64_t{2});
         }},
        {"a statement under way",
         [](ended& t, transaction& tx) {
             const std::jthread ends([&] { t.end_in_its_sleep(); });
             tx.execute("select pg_sleep(600)");
         }},
        {"a pipeline, at its begin",
         [](ended& t, transaction& tx) {
             t.end();
             tx.pipeline([](pipeline& p) { (void)p.find<Row>(std::int64_t{2}); });
         }},
        {"a pipeline, in the middle",
         [](ended& t, transaction& tx) {
             tx.pipeline([&](pipeline& p) {
                 for (std::int64_t i = 0; i < 10; ++i)
                     (void)p.find<Row>(i);
                 t.end();
                 for (std::int64_t i = 0; i < 10; ++i)
                     (void)p.find<Row>(i);
             });
         }},
        {"a long pipeline", // more than a socket holds
         [](ended& t, transaction& tx) {
             const std::string text(2'000, 'y');
             tx.pipeline([&](pipeline& p) {
                 t.end();
                 for (std::int64_t i = 0; i < 1'000; ++i)
                     (void)p.insert(Row{1'000 + i, text});
             });
         }},
        {"a stream, at its begin",
         [](ended& t, transaction& tx) {
             t.end();
             for (const Row& row : repository<Row>{tx}.every().stream())
                 (void)row;
         }},
        {"a stream that waits",
         [](ended& t, transaction& tx) {
             const std::jthread ends([&] { t.end_in_its_sleep(); });
             for (const SlowRow& row : repository<SlowRow>{tx}.every().stream())
                 (void)row;
         }},
        {"a stream, between two blocks",
         [](ended& t, transaction& tx) {
             for (const SlowRow& row : repository<SlowRow>{tx}.every().stream())
                 if (row.id == 1)
                     t.end_in_its_sleep();
         }},
        {"a COPY OUT, at its begin",
         [](ended& t, transaction& tx) {
             t.end();
             for (const Row& row : repository<Row>{tx}.copy_out())
                 (void)row;
         }},
        {"a COPY OUT that waits",
         [](ended& t, transaction& tx) {
             const std::jthread ends([&] { t.end_in_its_sleep(); });
             for (const SlowRow& row : repository<SlowRow>{tx}.copy_out())
                 (void)row;
         }},
        {"a COPY OUT, between two rows",
         [](ended& t, transaction& tx) {
             for (const SlowRow& row : repository<SlowRow>{tx}.copy_out())
                 if (row.id == 1)
                     t.end_in_its_sleep();
         }},
        {"a COPY IN, at its begin",
         [](ended& t, transaction& tx) {
             t.end();
             (void)repository<Row>{tx}.copy_in(std::vector<Row>{{1'000, "x"}});
         }},
        {"a COPY IN, between two rows",
         [](ended& t, transaction& tx) {
             (void)repository<Row>{tx}.copy_in([&](auto& sink) {
                 sink(Row{1'000, "x"});
                 t.end();
                 sink(Row{1'001, "x"});
             });
         }},
        {"a long COPY IN", // more than a socket holds
         [](ended& t, transaction& tx) {
             (void)repository<Row>{tx}.copy_in([&](auto& sink) {
                 const std::string text(2'000, 'y');
                 for (int i = 0; i < 2'000; ++i) {
                     if (i == 1'000)
                         t.end();
                     sink(Row{1'000 + i, text});
                 }
             });
         }},
        {"what a savepoint owes",
         [](ended& t, transaction& tx) {
             {
                 const savepoint part{tx};
                 (void)repository<Row>{tx}.find(std::int64_t{2});
                 t.end();
             }
             (void)repository<Row>{tx}.find(std::int64_t{2});
         }},
        {"a statement behind libpqxx",
         [](ended& t, transaction& tx) {
             (void)as_pqxx(tx).exec("select 1");
             t.end();
             (void)repository<Row>{tx}.find(std::int64_t{2});
         }},
        {"COMMIT",
         [](ended& t, transaction& tx) {
             t.end();
             tx.commit();
         }},
        {"a pipeline's commit",
         [](ended& t, transaction& tx) {
             tx.pipeline([&](pipeline& p) {
                 (void)p.find<Row>(std::int64_t{2});
                 t.end();
                 p.commit();
             });
         }},
    };
}

} // namespace farewell_pgtest

using namespace farewell_pgtest;

TEST_CASE("a server's last words and their SQLSTATE reach whoever was at work") {
    for (const path& way : paths()) {
        CAPTURE(way.name);
        ended t;
        transaction tx{t.one};
        tx.execute("select 1"); // it is begun
        try {
            way.run(t, tx);
            FAIL_CHECK("it went on");
        } catch (const connection_lost& lost) {
            CHECK_THAT(lost.what(), ContainsSubstring("terminating connection due to administrator command"));
            CHECK(lost.sqlstate() == "57P01");
            CHECK(lost.outcome_unknown() == (std::string_view(way.name).find("ommit") != std::string_view::npos ||
                                             std::string_view(way.name) == "COMMIT"));
            CHECK_FALSE(lost.retryable());
        }
        CHECK_FALSE(t.one.is_open());
        CHECK_THROWS_AS(tx.execute("select 1"), error);
    }
}

TEST_CASE("what comes first in its transaction hears the last words, too") {
    for (const path& way : paths()) {
        if (std::string_view(way.name) == "COMMIT") // nothing was begun
            continue;
        CAPTURE(way.name);
        ended t;
        transaction tx{t.one, {.keep_id = true}};
        try {
            way.run(t, tx);
            FAIL_CHECK("it went on");
        } catch (const connection_lost& lost) {
            CHECK(lost.sqlstate() == "57P01");
        }
        CHECK_FALSE(t.one.is_open());
    }
}

TEST_CASE("what is used behind a loss names the reason of it") {
    ended t;
    transaction tx{t.one};
    tx.execute("select 1");
    t.end();
    CHECK_THROWS_AS(tx.execute("select 1"), connection_lost);
    try {
        tx.execute("select 1");
        FAIL("it went on");
    } catch (const connection_lost& again) {
        CHECK_THAT(again.what(), ContainsSubstring("terminating connection due to administrator command"));
    }
}
