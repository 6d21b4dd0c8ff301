// Pipelines, streams and COPY on a session: one at a time, and nothing of them is left behind.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/copy_in.hpp>
#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/testing/gate.hpp>

#include "support/database_fixture.hpp"
#include "support/end_backend.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace guest_pgtest {

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("row", tenon::key<&Row::id>);
};

struct Loud {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("loud", tenon::key<&Loud::id>);
};

struct Breaks {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("breaks", tenon::key<&Breaks::id>);
};

struct Dated {
    std::int64_t id{};
    timestamp at{};

    static constexpr auto table = tenon::table("dated", tenon::key<&Dated::id>);
};

constexpr std::int64_t rows_at_first = 300;

struct rows : database_fixture {
    rows() {
        run("create table row (id bigint primary key, text text not null);"
            "insert into row select i, repeat('x', 500) from generate_series(1, 300) i");
    }
    std::int64_t count() {
        return db.transact([](transaction& tx) { return repository<Row>{tx}.count(); });
    }
    bool stored(std::int64_t id) {
        return db.transact([&](transaction& tx) { return repository<Row>{tx}.find(id).has_value(); });
    }
};

std::int64_t read_all(auto&& of) {
    std::int64_t read = 0;
    for (const Row& row : of) {
        (void)row;
        ++read;
    }
    return read;
}

void leave_early(auto&& of) {
    for (const Row& row : of) {
        (void)row;
        return;
    }
}

struct doing {
    const char* name;
    std::function<void(transaction&)> run;
};

/// Everything that a transaction can be asked for.
std::vector<doing> all_that_it_does() {
    return {
        {"raw SQL", [](transaction& tx) { tx.execute("select 2"); }},
        {"raw SQL that speaks of a chain", [](transaction& tx) { tx.execute("select 2 as chain"); }},
        {"nothing as SQL", [](transaction& tx) { tx.execute(""); }},
        {"SQL with parameters", [](transaction& tx) { tx.execute("select $1", 2); }},
        {"SQL with parameters that speaks of a chain", [](transaction& tx) { tx.execute("select $1 as chain", 2); }},
        {"a known statement", [](transaction& tx) { (void)repository<Row>{tx}.find(std::int64_t{3}); }},
        {"a new statement", [](transaction& tx) { (void)repository<Row>{tx}.erase(std::int64_t{3}); }},
        {"a query", [](transaction& tx) { (void)query<int>{"select 2"}.one(tx); }},
        {"a check of queries", [](transaction& tx) { check_queries(tx, query<int>{"select 2"}); }},
        {"a setting", [](transaction& tx) { tx.set_local("work_mem", "1MB"); }},
        {"a stream", [](transaction& tx) { (void)read_all(repository<Row>{tx}.every().stream()); }},
        {"a COPY OUT", [](transaction& tx) { (void)read_all(repository<Row>{tx}.copy_out()); }},
        {"a COPY IN", [](transaction& tx) { (void)repository<Row>{tx}.copy_in(std::vector<Row>{{900, "x"}}); }},
        {"a pipeline", [](transaction& tx) { tx.pipeline([](pipeline& p) { (void)p.find<Row>(std::int64_t{4}); }); }},
        {"a savepoint", [](transaction& tx) { const savepoint part{tx}; }},
        {"a nested transact", [](transaction& tx) { tx.transact([](transaction&) {}); }},
        {"libpqxx", [](transaction& tx) { (void)as_pqxx(tx).exec("select 2"); }},
        {"COMMIT", [](transaction& tx) { tx.commit(); }},
    };
}

} // namespace guest_pgtest

using namespace guest_pgtest;

// --- one at a time
// ----------------------------------------------------------------------------------------------------

TEST_CASE(
    "inside of a pipeline its transaction does nothing else: that is an error at once, and the pipeline goes on") {
    rows t;
    for (const doing& other : all_that_it_does()) {
        CAPTURE(other.name);
        std::optional<transaction> tx{std::in_place, t.db};
        (void)repository<Row>{*tx}.find(std::int64_t{1}); // known from here on
        pending<std::optional<Row>> second;
        pending<std::optional<Row>> fifth;
        tx->pipeline([&](pipeline& p) {
            second = p.find<Row>(std::int64_t{2});
            try {
                other.run(*tx);
                FAIL_CHECK("it was done");
            } catch (const usage_error& taken) {
                CHECK_THAT(taken.what(), ContainsSubstring("pipeline"));
            }
            fifth = p.find<Row>(std::int64_t{5});
        });
        REQUIRE(second.get());
        CHECK(second.get()->id == 2);
        REQUIRE(fifth.get());
        CHECK(fifth.get()->id == 5);
        CHECK(repository<Row>{*tx}.count() == rows_at_first);
        CHECK_NOTHROW(tx->commit());
    }
}

TEST_CASE("while a stream or a COPY is under way its transaction does nothing else, and both go on") {
    rows t;
    const std::string guest = GENERATE(as<std::string>{}, "a stream", "a COPY OUT", "a COPY IN");
    for (const doing& other : all_that_it_does()) {
        CAPTURE(guest, other.name);
        transaction tx{t.db};
        (void)repository<Row>{tx}.find(std::int64_t{1});
        const auto refused = [&] {
            try {
                other.run(tx);
                FAIL_CHECK("it was done");
            } catch (const usage_error& taken) {
                CHECK_THAT(taken.what(), ContainsSubstring("is under way on this connection"));
            }
        };
        if (guest == "a COPY IN") {
            CHECK(repository<Row>{tx}.copy_in([&](auto& sink) {
                sink(Row{1'001, "x"});
                refused();
                sink(Row{1'002, "x"});
            }) == 2);
        } else {
            std::int64_t read = 0;
            const auto use = [&](auto&& of) {
                for (const Row& row : of) {
                    (void)row;
                    if (++read == 20 || read == 299)
                        refused();
                }
            };
            if (guest == "a stream")
                use(repository<Row>{tx}.every().stream());
            else
                use(repository<Row>{tx}.copy_out());
            CHECK(read == rows_at_first);
        }
        CHECK(repository<Row>{tx}.count() == rows_at_first + (guest == "a COPY IN" ? 2 : 0));
        tx.execute("delete from row where id > 1000");
        CHECK_NOTHROW(tx.commit());
    }
}

TEST_CASE("COMMIT is refused while something is under way, and done when it is over") {
    rows t;
    const std::string guest = GENERATE(as<std::string>{}, "a stream", "a COPY OUT", "a COPY IN", "a pipeline");
    const bool leaves = GENERATE(false, true); // early
    CAPTURE(guest, leaves);
    bool acted = false;
    {
        transaction tx{t.db};
        tx.on_commit([&] { acted = true; });
        repository<Row>{tx}.insert({1'000, "x"});
        const auto refused = [&] { CHECK_THROWS_AS(tx.commit(), usage_error); };
        const auto use = [&](auto&& of) {
            for (const Row& row : of) {
                (void)row;
                refused();
                if (leaves)
                    break;
            }
        };
        if (guest == "a stream")
            use(repository<Row>{tx}.every().stream());
        else if (guest == "a COPY OUT")
            use(repository<Row>{tx}.copy_out());
        else if (guest == "a COPY IN" && leaves)
            CHECK_THROWS_AS(tx.transact([](transaction& part) {
                (void)repository<Row>{part}.copy_in([&](auto& sink) {
                    sink(Row{1'001, "x"});
                    part.commit();
                });
            }),
                            usage_error);
        else if (guest == "a COPY IN")
            (void)repository<Row>{tx}.copy_in([&](auto&) { refused(); });
        else
            try {
                tx.pipeline([&](pipeline& p) {
                    (void)p.find<Row>(std::int64_t{1});
                    refused();
                    if (leaves)
                        throw std::runtime_error("left");
                });
            } catch (const std::runtime_error&) {
            }
        CHECK(tx.is_open());
        CHECK_FALSE(acted);
        CHECK_NOTHROW(tx.commit());
        CHECK(acted);
    }
    CHECK(t.stored(1'000));
    CHECK_FALSE(t.stored(1'001));
    CHECK_NOTHROW(t.run("select 1"));
}

TEST_CASE("a transaction that was refused its COMMIT can be rolled back, and the connection goes on") {
    rows t;
    {
        transaction tx{t.db};
        repository<Row>{tx}.insert({1'000, "x"});
        auto stream = repository<Row>{tx}.every().stream();
        CHECK((*stream.begin()).id == 1);
        CHECK_THROWS_AS(tx.commit(), usage_error);
    }
    CHECK_FALSE(t.stored(1'000));
    CHECK(t.count() == rows_at_first);
}

// --- used twice, or too late
// ------------------------------------------------------------------------------------------

TEST_CASE("a stream is begun once, and not when it was moved from") {
    rows t;
    const bool copies = GENERATE(false, true);
    transaction tx{t.db};
    auto one = copies ? repository<Row>{tx}.copy_out() : repository<Row>{tx}.every().stream();
    CHECK((*one.begin()).id == 1);
    CHECK_THROWS_AS(one.begin(), usage_error);
    auto other = std::move(one);
    CHECK_THROWS_AS(one.begin(), usage_error); // NOLINT(bugprone-use-after-move): that is the question
    CHECK_THROWS_AS(other.begin(), usage_error);
    {
        const auto ends = std::move(other);
    }
    CHECK(repository<Row>{tx}.count() == rows_at_first);
    auto fresh = repository<Row>{tx}.every().stream();
    auto moved = std::move(fresh);
    CHECK(read_all(moved) == rows_at_first);
    CHECK_THROWS_AS(moved.begin(), usage_error);
}

namespace {

/// Something that occupies a session for as long as it lives.
struct occupant {
    std::optional<stream<Row>> rows;
    std::unique_ptr<copy_in> copy;
    std::optional<stream<Row>::iterator> at;

    explicit occupant(const std::string& kind, transaction& tx) {
        static constexpr statement into{.sql = "copy \"row\" (\"id\", \"text\") from stdin (format binary)",
                                        .operation = "copy into",
                                        .record = &shape_of_record<Row>};
        static constexpr std::size_t fields[]{0, 1};
        if (kind == "a COPY IN") {
            copy = std::make_unique<copy_in>(tx, into, fields);
            copy->add_row(std::int64_t{2'000}, std::string("x"));
        } else {
            rows.emplace(kind == "a stream" ? repository<Row>{tx}.every().stream() : repository<Row>{tx}.copy_out());
            at.emplace(rows->begin());
        }
    }
    void go_on() {
        if (copy) {
            (void)copy->finish();
            return;
        }
        for (int i = 0; i < 300; ++i)
            ++*at;
    }
};

} // namespace

TEST_CASE("what outlives its transaction can do nothing to the next one") {
    rows t;
    const std::string kind = GENERATE(as<std::string>{}, "a stream", "a COPY OUT", "a COPY IN");
    const bool lent = GENERATE(false, true); // libpqxx has used the connection
    const bool goes_on = GENERATE(true, false);
    CAPTURE(kind, lent, goes_on);
    testing::gate gate{t.database.url()};
    connection db{gate.url()};
    db.transact([](transaction& tx) { repository<Row>{tx}.insert({1'000, "known from here on"}); });
    std::optional<transaction> first{std::in_place, db};
    first->execute("select 1");
    if (lent)
        (void)as_pqxx(*first).exec("select 1");
    std::optional<occupant> late{std::in_place, kind, *first};
    first->rollback();
    if (goes_on)
        CHECK_THROWS_AS(late->go_on(), usage_error);
    first.reset();

    transaction next{db};
    repository<Row> rows{next};
    rows.insert({1'001, "x"});
    if (goes_on)
        CHECK_THROWS_AS(late->go_on(), usage_error);
    late.reset();
    gate.reset_counters();
    {
        savepoint part{next}; // would be sent at once on a connection that counts as lent
        part.release();
    }
    CHECK(gate.round_trips() == 0);
    rows.insert({1'002, "x"});
    CHECK(gate.round_trips() == 1);
    CHECK_NOTHROW(next.commit());
    CHECK(t.stored(1'002));
    CHECK_FALSE(t.stored(2'000));
}

TEST_CASE("what outlives its connection touches nothing") {
    rows t;
    const std::string kind = GENERATE(as<std::string>{}, "a stream", "a COPY OUT", "a COPY IN");
    const bool lent = GENERATE(false, true);
    const std::string end = GENERATE(as<std::string>{}, "a rollback", "its server", "both");
    CAPTURE(kind, lent, end);
    std::optional<connection> db{std::in_place, t.database.url()};
    std::optional<occupant> late;
    {
        transaction tx{*db};
        tx.execute("select 1");
        if (lent)
            (void)as_pqxx(tx).exec("select 1");
        late.emplace(kind, tx);
        if (end != "a rollback")
            end_backend(t.db, db->backend_pid());
        if (end != "its server")
            tx.rollback();
    }
    db.reset();
    CHECK_THROWS_AS(late->go_on(), usage_error);
    late.reset();
    CHECK(t.count() == rows_at_first);
}

TEST_CASE("what outlives a lease of the pool can do nothing to the next borrower") {
    rows t;
    const std::string kind = GENERATE(as<std::string>{}, "a stream", "a COPY OUT", "a COPY IN");
    const bool lent = GENERATE(false, true);
    CAPTURE(kind, lent);
    pool db{t.database.url(), {.max_size = 1}};
    std::optional<occupant> late;
    int pid = 0;
    {
        connection one = db.acquire();
        pid = one.backend_pid();
        transaction tx{one};
        if (lent)
            (void)as_pqxx(tx).exec("select 1");
        late.emplace(kind, tx);
    }
    db.transact([&](transaction& tx) {
        CHECK(query<int>{"select pg_backend_pid()"}.one(tx) == pid);
        late.reset();
        CHECK(repository<Row>{tx}.count() == rows_at_first);
        repository<Row>{tx}.insert({1'000, "x"});
    });
    CHECK(t.stored(1'000));
}

TEST_CASE("a pipeline whose transaction is rolled back in its block does nothing more") {
    rows t;
    transaction tx{t.db};
    CHECK_THROWS_AS(tx.pipeline([&](pipeline& p) {
        (void)p.insert(Row{1'000, "x"});
        tx.rollback();
        CHECK_THROWS_AS(p.insert(Row{1'001, "x"}), usage_error);
    }),
                    usage_error);
    CHECK_FALSE(tx.is_open());
    CHECK(t.count() == rows_at_first);
}

// --- left early, by an exception or otherwise
// -------------------------------------------------------------------------

TEST_CASE("an exception in a loop over rows leaves the transaction as it was") {
    rows t;
    const bool copies = GENERATE(false, true);
    const std::int64_t at = GENERATE(1, 40, 300);
    CAPTURE(copies, at);
    transaction tx{t.db};
    repository<Row> all{tx};
    all.insert({1'000, "x"});
    CHECK_THROWS_AS(
        [&] {
            const auto use = [&](auto&& of) {
                for (const Row& row : of)
                    if (row.id == at)
                        throw std::runtime_error("stop");
            };
            copies ? use(all.copy_out()) : use(all.every().stream());
        }(),
        std::runtime_error);
    all.insert({1'001, "x"});
    CHECK_NOTHROW(tx.commit());
    CHECK(t.count() == rows_at_first + 2);
}

TEST_CASE("a stream that was never read is left, too") {
    rows t;
    const bool first = GENERATE(false, true); // of its transaction's statements
    transaction tx{t.db};
    if (!first)
        repository<Row>{tx}.insert({1'000, "x"});
    for (int i = 0; i < 3; ++i) {
        (void)repository<Row>{tx}.every().stream();
        (void)repository<Row>{tx}.copy_out();
    }
    repository<Row>{tx}.insert({1'001, "x"});
    CHECK_NOTHROW(tx.commit());
    CHECK(t.stored(1'001));
    CHECK(t.stored(1'000) == !first);
}

TEST_CASE("a pipeline's block that throws leaves what it has queued: it is run, and a failure among it counts") {
    rows t;
    const bool fails = GENERATE(false, true);
    const bool known = GENERATE(false, true);
    CAPTURE(fails, known);
    transaction tx{t.db};
    if (known)
        repository<Row>{tx}.insert({999, "x"});
    CHECK_THROWS_AS(tx.pipeline([&](pipeline& p) {
        (void)p.insert(Row{1'000, "x"});
        if (fails)
            (void)p.insert(Row{1'000, "x"});
        throw std::runtime_error("stop");
    }),
                    std::runtime_error);
    if (fails) {
        CHECK_THROWS_AS(tx.execute("select 1"), error);
        try {
            tx.commit();
            FAIL("committed");
        } catch (const failed_transaction& refused) {
            CHECK_THAT(refused.what(), ContainsSubstring("row_pkey")); // what failed first
        }
    } else
        CHECK_NOTHROW(tx.commit());
    CHECK(t.stored(1'000) == !fails);
}

TEST_CASE("a pipeline's block that throws behind a savepoint is undone with it") {
    rows t;
    transaction tx{t.db};
    repository<Row>{tx}.insert({999, "x"});
    CHECK_THROWS_AS(tx.transact([](transaction& part) {
        part.pipeline([&](pipeline& p) {
            (void)p.insert(Row{1'000, "x"});
            (void)p.insert(Row{1'000, "x"});
            throw std::runtime_error("stop");
        });
    }),
                    std::runtime_error);
    CHECK_NOTHROW(tx.commit());
    CHECK(t.count() == rows_at_first + 1);
}

TEST_CASE("a producer that throws inside of a savepoint breaks its COPY off, and the transaction goes on") {
    rows t;
    const int rows_before = GENERATE(0, 1, 20'000); // none sent, one, and several messages
    transaction tx{t.db};
    repository<Row>{tx}.insert({1'000, "x"});
    CHECK_THROWS_AS(tx.transact([&](transaction& part) {
        (void)repository<Row>{part}.copy_in([&](auto& sink) {
            for (int i = 0; i < rows_before; ++i)
                sink(Row{2'000 + i, "x"});
            throw std::runtime_error("stop");
        });
    }),
                    std::runtime_error);
    CHECK(repository<Row>{tx}.count() == rows_at_first + 1);
    CHECK_NOTHROW(tx.commit());
    CHECK(t.stored(1'000));
}

TEST_CASE("without a savepoint a COPY that was broken off has failed its transaction, and COMMIT says why") {
    rows t;
    transaction tx{t.db};
    CHECK_THROWS_AS(repository<Row>{tx}.copy_in([&](auto& sink) {
        sink(Row{2'000, "x"});
        throw std::runtime_error("stop");
    }),
                    std::runtime_error);
    CHECK_THROWS_AS(tx.commit(), failed_transaction);
    CHECK(t.count() == rows_at_first);
}

TEST_CASE("a row that cannot be sent is left out of its COPY") {
    rows t;
    t.run("create table dated (id bigint primary key, at timestamptz not null)");
    transaction tx{t.db};
    CHECK(repository<Dated>{tx}.copy_in([&](auto& sink) {
        sink(Dated{1, timestamp{1h}});
        CHECK_THROWS_AS(sink(Dated{2, timestamp{-24h * 366 * 7000}}), encode_error); // 5030 BC
        sink(Dated{3, timestamp{1h}});
    }) == 2);
    CHECK(repository<Dated>{tx}.count() == 2);
}

TEST_CASE("COPY IN does not wait for a server that wants its notices to be read") {
    rows t;
    t.run("create function noisy() returns trigger language plpgsql as"
          " $$ begin raise notice '%', repeat('x', 10000); return new; end $$;"
          "create trigger noisy before insert on row for each row execute function noisy()");
    t.db.transact([](transaction& tx) { // 20 MB of notices, and 8 MB of rows: more than sockets hold, each way
        CHECK(repository<Row>{tx}.copy_in([](auto& sink) {
            const std::string text(4'000, 'y');
            for (int i = 0; i < 2'000; ++i)
                sink(Row{2'000 + i, text});
        }) == 2'000);
    });
    CHECK(t.count() == rows_at_first + 2'000);
}

TEST_CASE("notices do not disturb streams, COPY OUT and pipelines") {
    rows t;
    t.run("create function noisy() returns bigint language plpgsql as"
          " $$ begin raise notice '%', repeat('x', 10000); raise warning '%', repeat('y', 10000); return 1; end $$;"
          "create view loud as select id * noisy() as id, text from row");
    transaction tx{t.db};
    const auto count = [](auto&& of) {
        std::int64_t read = 0;
        for (const Loud& row : of)
            read += row.id > 0 ? 1 : 0;
        return read;
    };
    CHECK(count(repository<Loud>{tx}.every().stream()) == rows_at_first);
    CHECK(count(repository<Loud>{tx}.copy_out()) == rows_at_first);
    std::vector<pending<std::optional<Loud>>> found;
    tx.pipeline([&](pipeline& p) {
        for (std::int64_t i = 1; i <= 20; ++i)
            found.push_back(p.find<Loud>(i));
    });
    for (std::int64_t i = 1; i <= 20; ++i)
        CHECK(found[static_cast<std::size_t>(i - 1)].get()->id == i);
    CHECK_NOTHROW(tx.commit());
}

TEST_CASE("a statement that fails in the middle of its rows says so, and a savepoint undoes it") {
    rows t;
    const bool copies = GENERATE(false, true);
    const std::int64_t at = GENERATE(1, 33, 299); // in its first block, in the second, and later
    CAPTURE(copies, at);
    t.run("create view breaks as select id + 0 / (id - " + std::to_string(at) + ") as id, text from row");
    transaction tx{t.db};
    repository<Row>{tx}.insert({1'000, "x"});
    const auto use = [](auto&& of) {
        for (const Breaks& row : of)
            (void)row;
    };
    try {
        const savepoint part{tx};
        copies ? use(repository<Breaks>{tx}.copy_out()) : use(repository<Breaks>{tx}.every().stream());
        FAIL("it was read");
    } catch (const error& failure) {
        CHECK(failure.sqlstate() == "22012");
    }
    CHECK(repository<Row>{tx}.count() == rows_at_first + 1);
    CHECK_NOTHROW(tx.commit());

    transaction without{t.db};
    CHECK_THROWS_AS(copies ? use(repository<Breaks>{without}.copy_out())
                           : use(repository<Breaks>{without}.every().stream()),
                    error);
    CHECK_THROWS_AS(without.commit(), failed_transaction);
}
