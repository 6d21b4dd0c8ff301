// Prepared statements whose ground moves: dropped by others, changed under them, refused in the middle.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <tenon/election/election.hpp>
#include <tenon/pg/install.hpp>
#include <tenon/pg/pool.hpp>
#include <tenon/pg/pqxx_interop.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

namespace statement_cache_pgtest {

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("row", tenon::key<&Row::id>);
};

struct Missing {
    std::int64_t id{};

    static constexpr auto table = tenon::table("missing", tenon::key<&Missing::id>);
};

struct rows : database_fixture {
    rows() {
        run("create table row (id bigint primary key, text text not null);"
            "insert into row select i, 'x' from generate_series(1, 100) i");
    }
};

std::int64_t read_all(transaction& tx) {
    std::int64_t read = 0;
    for (const Row& row : repository<Row>{tx}.every().stream())
        read += row.id > 0 ? 1 : 0;
    return read;
}

/// CHECK would keep what its expression throws.
void require(bool holds) {
    REQUIRE(holds);
}

struct doing {
    const char* name;
    std::function<void(transaction&)> run;
};

std::vector<doing> uses_of_known_statements() {
    return {
        {"a statement", [](transaction& tx) { CHECK(repository<Row>{tx}.find(std::int64_t{1}).has_value()); }},
        {"a query", [](transaction& tx) { (void)query<std::string>{"select text from row where id = 1"}.one(tx); }},
        {"a pipeline",
         [](transaction& tx) {
             pending<std::optional<Row>> found;
             tx.pipeline([&](pipeline& p) {
                 for (std::int64_t i = 1; i < 5; ++i)
                     found = p.find<Row>(i);
             });
             require(found.get()->id == 4);
         }},
        {"a stream", [](transaction& tx) { require(read_all(tx) == 100); }},
    };
}

/// Makes them known to the session.
void make_known(connection& db) {
    db.transact([](transaction& tx) {
        for (const doing& use : uses_of_known_statements())
            use.run(tx);
    });
}

} // namespace statement_cache_pgtest

using namespace statement_cache_pgtest;

TEST_CASE("a cache of one or two, or none, gives right answers on every path") {
    const std::size_t limit = GENERATE(0U, 1U, 2U, 3U);
    CAPTURE(limit);
    rows t;
    connection db{t.database.url(), {.statement_cache = limit}};
    for (std::int64_t round = 0; round < 3; ++round)
        db.transact([&](transaction& tx) {
            repository<Row> all{tx};
            std::vector<pending<std::optional<Row>>> found;
            std::vector<pending<Row>> stored;
            pending<bool> erased;
            tx.pipeline([&](pipeline& p) {
                for (std::int64_t i = 1; i <= 10; ++i) {
                    found.push_back(p.find<Row>(i));
                    stored.push_back(p.insert(Row{1'000 + 100 * round + i, std::to_string(i)}));
                    erased = p.erase<Row>(1'000 + 100 * round + i);
                }
            });
            for (std::int64_t i = 1; i <= 10; ++i) {
                CHECK(found[static_cast<std::size_t>(i - 1)].get()->id == i);
                CHECK(stored[static_cast<std::size_t>(i - 1)].get().text == std::to_string(i));
            }
            CHECK(erased.get());
            for (const Row& row : all.every().stream()) {
                CHECK(row.text == "x");
                break;
            }
            CHECK(read_all(tx) == 100);
            CHECK(all.find(std::int64_t{5})->id == 5);
            CHECK(tx.execute("select $1", 1) == 1);
            CHECK(query<int, int>{"select $1 + 1"}.one(tx, 1) == 2);
        });
    CHECK(db.transact([](transaction& tx) { return repository<Row>{tx}.count(); }) == 100);
}

TEST_CASE(
    "a statement that cannot be prepared in the middle of a pipeline fails it, and nothing of it is lost or kept") {
    rows t;
    const std::string then = GENERATE(as<std::string>{}, "nothing", "goes on queueing", "is undone");
    CAPTURE(then);
    transaction tx{t.db};
    repository<Row>{tx}.insert({1'000, "before"});
    const auto pipelined = [&](transaction& in) {
        in.pipeline([&](pipeline& p) {
            (void)p.insert(Row{1'001, "x"});
            if (then == "goes on queueing") {
                CHECK_THROWS_AS(p.find<Missing>(std::int64_t{1}), schema_mismatch);
                (void)p.insert(Row{1'002, "x"});
            } else
                (void)p.find<Missing>(std::int64_t{1});
        });
    };
    if (then == "is undone") {
        CHECK_THROWS_AS(tx.transact(pipelined), schema_mismatch);
        CHECK(repository<Row>{tx}.count() == 101);
        CHECK_NOTHROW(tx.commit());
    } else if (then == "nothing") {
        CHECK_THROWS_AS(pipelined(tx), schema_mismatch);
        CHECK(repository<Row>{tx}.count() == 102); // looking at the table failed nothing
        CHECK_NOTHROW(tx.commit());
    } else {
        CHECK_NOTHROW(pipelined(tx));
        CHECK(repository<Row>{tx}.count() == 103);
        CHECK_NOTHROW(tx.commit());
    }
}

TEST_CASE("a statement that the server refuses to prepare in the middle of a pipeline fails the transaction") {
    rows t;
    static constexpr std::string_view wrong_sql = "select no_such_column from row";
    static constexpr statement wrong{.sql = wrong_sql, .operation = "query", .hash = hash_of(wrong_sql)};
    transaction tx{t.db};
    try {
        tx.pipeline([&](pipeline& p) {
            (void)p.insert(Row{1'001, "x"});
            parameter_list<0> none;
            try {
                (void)p.run<bool>(wrong, none, [](const result&) { return true; });
                FAIL("it was prepared");
            } catch (const error& refused) {
                CHECK(refused.sqlstate() == "42703");
            }
            (void)p.insert(Row{1'002, "x"}); // is of no use any more
            p.commit();
        });
        FAIL("it was committed");
    } catch (const error& refused) {
        CHECK(refused.sqlstate() == "25P02");
    }
    CHECK_FALSE(tx.is_open());
    CHECK(t.db.transact([](transaction& next) { return repository<Row>{next}.count(); }) == 100);
}

TEST_CASE("statements that others have deallocated are prepared again, at the next transaction at the latest") {
    const std::string by = GENERATE(as<std::string>{}, "raw SQL", "raw SQL that hides it", "libpqxx");
    CAPTURE(by);
    rows t;
    for (const doing& use : uses_of_known_statements()) {
        CAPTURE(use.name);
        make_known(t.db);
        t.db.transact([&](transaction& tx) {
            if (by == "raw SQL")
                tx.execute("deallocate all");
            else if (by == "raw SQL that hides it")
                tx.execute("do $$ begin execute 'deallocate all'; end $$");
            else
                as_pqxx(tx).exec("deallocate all");
        });
        const auto again = [&] { t.db.transact({.attempts = 1}, use.run); };
        if (by != "raw SQL")
            try {
                again();
            } catch (const error& unknown) { // a pipeline or a stream is not run again
                CHECK(unknown.sqlstate() == "26000");
            }
        CHECK_NOTHROW(again());
        CHECK(t.db.is_open());
    }
}

TEST_CASE("a transaction that begins with a known statement hears nothing of a DEALLOCATE ALL before it") {
    rows t;
    make_known(t.db);
    t.db.transact([&](transaction& tx) { tx.execute("do $$ begin execute 'deallocate all'; end $$"); });
    CHECK_NOTHROW(t.db.transact({.attempts = 1}, [](transaction& tx) {
        CHECK(repository<Row>{tx}.find(std::int64_t{1}).has_value());
        CHECK(read_all(tx) == 100);
    }));
}

TEST_CASE("a transaction that begins with a new statement hears nothing of a DEALLOCATE ALL before it") {
    rows t;
    connection db{t.database.url(), {.statement_cache = 1}};
    const auto text = [](int i) { return "select " + std::to_string(i) + " where $1 > 0"; };
    db.transact([&](transaction& tx) {
        tx.execute(text(1), 1);
        tx.execute(text(2), 1); // the first one is to be deallocated
    });
    db.transact([&](transaction& tx) { tx.execute("do $$ begin execute 'deallocate all'; end $$"); });
    for (int i = 3; i < 6; ++i)
        CHECK_NOTHROW(db.transact({.attempts = 1}, [&](transaction& tx) { tx.execute(text(i), 1); }));
}

TEST_CASE("a DEALLOCATE ALL in a savepoint's part is told there, and the transaction goes on") {
    rows t;
    const bool hidden = GENERATE(false, true);
    CAPTURE(hidden);
    make_known(t.db);
    transaction tx{t.db};
    repository<Row>{tx}.insert({1'000, "x"});
    tx.execute(hidden ? "do $$ begin execute 'deallocate all'; end $$" : "deallocate all");
    for (int i = 0; i < 2; ++i)
        try {
            savepoint part{tx};
            require(repository<Row>{tx}.find(std::int64_t{1}).has_value());
            part.release();
        } catch (const error& unknown) {
            CHECK(hidden);
            CHECK(i == 0); // prepared anew from then on
            CHECK(unknown.sqlstate() == "26000");
        }
    CHECK(repository<Row>{tx}.count() == 101);
    CHECK_NOTHROW(tx.commit());
}

TEST_CASE("a schema that changes under known statements is noticed once, on every path") {
    rows t;
    for (const doing& use : uses_of_known_statements()) {
        CAPTURE(use.name);
        make_known(t.db);
        connection other{t.database.url()};
        other.transact([](transaction& tx) {
            tx.execute("alter table row alter column text type varchar(50)"); // another type for the plan
        });
        for (int i = 0; i < 2; ++i)
            try {
                t.db.transact({.attempts = 1}, use.run);
            } catch (const error& changed) {
                CHECK(i == 0);
                CHECK(changed.sqlstate() == "0A000");
            }
        CHECK(t.db.is_open());
        other.transact([](transaction& tx) { tx.execute("alter table row alter column text type text"); });
        try { // makes it right again for the next one
            t.db.transact({.attempts = 1}, use.run);
        } catch (const error&) {
        }
    }
}

TEST_CASE("an error 26000 that is not about tenon's statements leaves them alone") {
    rows t;
    t.run("create function breaks(n int) returns int language plpgsql as"
          " $$ begin raise exception 'no such statement' using errcode = '26000'; end $$");
    static constexpr query<std::int64_t> held{"select count(*) from pg_prepared_statements where name like 'tenon%'"};
    make_known(t.db);
    const auto count = [&] { return t.db.transact([](transaction& tx) { return held.one(tx); }); };
    (void)count();
    const std::int64_t before = count();
    for (int i = 0; i < 5; ++i) {
        CHECK_THROWS_AS(t.db.transact([](transaction& tx) { tx.execute("select breaks($1)", 1); }), error);
        make_known(t.db);
    }
    CHECK(count() <= before + 1);
}

TEST_CASE("a fence works on after DEALLOCATE ALL, and after an error 26000 of somebody else's") {
    rows t;
    t.db.transact([](transaction& tx) { install(tx); });
    t.run("create function breaks(n int) returns int language plpgsql as"
          " $$ begin raise exception 'no such statement' using errcode = '26000'; end $$");
    const std::string what = GENERATE(as<std::string>{}, "deallocate all", "hidden", "a foreign 26000");
    const std::string first = GENERATE(as<std::string>{}, "a statement", "raw SQL", "a pipeline", "a stream");
    CAPTURE(what, first);
    pool pooled{t.database.url(), {.max_size = 1}};
    election job{pooled, "job", {.lease = 30s, .poll = 50ms}};
    const auto leadership = job.campaign({});
    const auto work = [&](transaction& tx) {
        if (first == "raw SQL")
            tx.execute("select 1");
        else if (first == "a pipeline")
            tx.pipeline([](pipeline& p) { (void)p.find<Row>(std::int64_t{1}); });
        else if (first == "a stream")
            require(read_all(tx) == 100);
        else
            (void)repository<Row>{tx}.find(std::int64_t{1});
    };
    leadership->transact(work);
    try {
        pooled.transact([&](transaction& tx) {
            if (what == "deallocate all")
                tx.execute("deallocate all");
            else if (what == "hidden")
                tx.execute("do $$ begin execute 'deallocate all'; end $$");
            else
                tx.execute("select breaks($1)", 1);
        });
    } catch (const error& foreign) {
        CHECK(foreign.sqlstate() == "26000");
    }
    for (int i = 0; i < 3; ++i)
        try {
            leadership->transact(work);
        } catch (const error& unknown) {
            CAPTURE(unknown.what());
            CHECK(i == 0); // at most once
            CHECK(what == "hidden");
            CHECK(unknown.sqlstate() == "26000");
        }
}

TEST_CASE("a COPY by a prepared statement is refused, and the session goes on") {
    rows t;
    const bool first = GENERATE(true, false);
    const bool by_query = GENERATE(true, false);
    const char* const sql = GENERATE("copy row from stdin", "copy row to stdout");
    CAPTURE(first, by_query, sql);
    {
        transaction tx{t.db};
        if (!first)
            tx.execute("select 1");
        CHECK_THROWS_AS(by_query ? query<void>{sql}.run(tx) : tx.execute(sql), error);
    }
    if (!t.db.is_open()) // so be it, but it has to say so
        t.db = connection{t.database.url()};
    CHECK(t.db.transact([](transaction& tx) { return repository<Row>{tx}.count(); }) == 100);
}

TEST_CASE("a COPY in a pipeline is refused, and its session is not used with answers out of step") {
    rows t;
    static constexpr std::string_view sql = "copy row from stdin";
    static constexpr statement copy{.sql = sql, .operation = "copy", .hash = hash_of(sql)};
    const int position = GENERATE(0, 1);
    {
        transaction tx{t.db};
        CHECK_THROWS_AS(tx.pipeline([&](pipeline& p) {
            if (position == 1)
                (void)p.find<Row>(std::int64_t{1});
            parameter_list<0> none;
            (void)p.run<bool>(copy, none, [](const result&) { return true; });
            (void)p.find<Row>(std::int64_t{2});
        }),
                        error);
        if (t.db.is_open())
            CHECK_THROWS_AS(repository<Row>{tx}.count(), error);
    }
    if (!t.db.is_open())
        t.db = connection{t.database.url()};
    t.db.transact([](transaction& tx) {
        for (std::int64_t i = 1; i < 10; ++i)
            CHECK(repository<Row>{tx}.find(i)->id == i);
    });
}

// --- SQL as text
// ------------------------------------------------------------------------------------------------------

TEST_CASE("texts that are empty, or of several statements, answer with their last") {
    rows t;
    const bool first = GENERATE(true, false);
    CAPTURE(first);
    transaction tx{t.db};
    if (!first)
        tx.execute("select 1");
    CHECK(tx.execute("") == 0);
    CHECK(tx.execute(";") == 0);
    CHECK(tx.execute(" -- nothing\n") == 0);
    CHECK(tx.execute("/* nothing */;;") == 0);
    CHECK(tx.execute("select * from row; select 1") == 1);
    CHECK(tx.execute("select 1; select * from row") == 100);
    CHECK(tx.execute("select 1; update row set text = 'y' where id < 4;") == 3);
    CHECK(tx.execute("select 1 where false; ") == 0);
    try {
        const savepoint part{tx};
        tx.execute("update row set text = 'z'; select 1/0; select 2");
        FAIL("it was run");
    } catch (const error& failure) {
        CHECK(failure.sqlstate() == "22012");
    }
    CHECK(tx.execute("select * from row where text = 'z'") == 0);
    CHECK_NOTHROW(tx.commit());
}

TEST_CASE("an empty text that is prepared does nothing") {
    rows t;
    transaction tx{t.db};
    CHECK(query<void>{""}.run(tx) == 0);
    CHECK(query<void>{"-- nothing"}.run(tx) == 0);
    tx.pipeline([](pipeline& p) {
        static constexpr statement nothing{.sql = "", .operation = "nothing"};
        parameter_list<0> none;
        (void)p.run<bool>(nothing, none, [](const result&) { return true; });
        (void)p.find<Row>(std::int64_t{1});
    });
    CHECK_NOTHROW(tx.commit());
}

TEST_CASE("SQL that cannot be parsed fails its transaction, as its first statement, too") {
    rows t;
    const bool first = GENERATE(true, false);
    const bool behind_a_savepoint = GENERATE(true, false);
    CAPTURE(first, behind_a_savepoint);
    transaction tx{t.db};
    if (!first)
        repository<Row>{tx}.insert({1'000, "x"});
    if (behind_a_savepoint) {
        CHECK_THROWS_AS(tx.transact([](transaction& part) { part.execute("selec"); }), error);
        repository<Row>{tx}.insert({1'001, "x"});
        CHECK_NOTHROW(tx.commit());
    } else {
        CHECK_THROWS_AS(tx.execute("selec"), error);
        CHECK_THROWS_AS(repository<Row>{tx}.insert({1'001, "x"}), error);
        CHECK_THROWS_AS(tx.commit(), failed_transaction);
    }
    CHECK(t.db.transact([](transaction& next) { return repository<Row>{next}.count(); }) ==
          100 + (behind_a_savepoint ? (first ? 1 : 2) : 0));
}

TEST_CASE("very long texts and values pass, on every path") {
    rows t;
    const std::string value(20'000'000, 'v');
    t.db.transact([&](transaction& tx) {
        CHECK(tx.execute("select '" + value + "'") == 1);
        CHECK(tx.execute("select length($1)", value) == 1);
        CHECK(tx.execute("select 1 /* " + value + " */ where $1 > 0", 1) == 1);
        repository<Row>{tx}.insert({1'000, value});
        tx.pipeline([&](pipeline& p) {
            (void)p.insert(Row{1'001, value});
            (void)p.find<Row>(std::int64_t{1'000});
            (void)p.insert(Row{1'002, value});
        });
        (void)repository<Row>{tx}.copy_in(std::vector<Row>{{1'003, value}, {1'004, value}});
        std::int64_t bytes = 0;
        for (const Row& row : repository<Row>{tx}.where(col<&Row::id> >= std::int64_t{1'000}).stream())
            bytes += static_cast<std::int64_t>(row.text.size());
        CHECK(bytes == 100'000'000);
        bytes = 0;
        for (const Row& row : repository<Row>{tx}.copy_out())
            bytes += static_cast<std::int64_t>(row.text.size());
        CHECK(bytes == 100'000'100);
    });
}
