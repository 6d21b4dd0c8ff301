// What is not sent at once but travels with the next statement: begin and end of savepoints, and what a stream leaves.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <tenon/pg/deadline.hpp>
#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/pg/savepoint.hpp>
#include <tenon/testing/gate.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;

namespace owed_pgtest {

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("row", tenon::key<&Row::id>);
};

struct rows : database_fixture {
    testing::gate gate{database.url()};
    connection counted{gate.url()};

    rows() {
        run("create table row (id bigint primary key, text text not null)");
        transaction tx{counted}; // what is known from here on
        repository<Row>{tx}.insert({0, "x"});
        (void)repository<Row>{tx}.find(std::int64_t{0});
        tx.commit();
        run("truncate row");
        gate.reset_counters();
    }
    std::vector<std::int64_t> stored() {
        return db.transact(
            [](transaction& tx) { return query<std::int64_t>{"select id from row order by id"}.all(tx); });
    }
};

using ids = std::vector<std::int64_t>;

void insert(transaction& tx, std::int64_t id) {
    repository<Row>{tx}.insert({id, std::string(100, 'x')});
}

void leave_early(transaction& tx, bool copies) {
    const auto first = [](auto&& of) {
        for (const Row& row : of) {
            (void)row;
            return;
        }
    };
    copies ? first(repository<Row>{tx}.copy_out()) : first(repository<Row>{tx}.every().stream());
}

} // namespace owed_pgtest

using namespace owed_pgtest;

TEST_CASE("savepoints cost no round trip of their own") {
    rows t;
    transaction tx{t.counted};
    insert(tx, 1);
    CHECK(t.gate.round_trips() == 1);
    {
        savepoint kept{tx};
        insert(tx, 2);
        kept.release();
    }
    CHECK(t.gate.round_trips() == 2);
    {
        const savepoint undone{tx};
        insert(tx, 3);
    }
    CHECK(t.gate.round_trips() == 3);
    for (int i = 0; i < 10; ++i) { // nothing happens in them
        savepoint idle{tx};
        {
            const savepoint inner{tx};
        }
        idle.release();
    }
    CHECK(t.gate.round_trips() == 3);
    tx.commit();
    CHECK(t.gate.round_trips() == 4);
    CHECK(t.stored() == ids{1, 2});
}

TEST_CASE("a transaction of savepoints in which nothing was sent sends nothing") {
    rows t;
    transaction tx{t.counted};
    tx.transact([](transaction& part) { part.transact([](transaction&) {}); });
    tx.commit();
    CHECK(t.gate.round_trips() == 0);
}

TEST_CASE("a savepoint may be the first of its transaction, with whatever comes first in it") {
    rows t;
    insert(*std::make_unique<transaction>(t.db), 99); // rolled back
    const bool keep_id = GENERATE(false, true);
    const int what = GENERATE(0, 1, 2, 3, 4, 5);
    const bool kept = GENERATE(false, true);
    CAPTURE(keep_id, what, kept);
    transaction tx{t.counted, {.keep_id = keep_id}};
    {
        savepoint part{tx};
        switch (what) {
        case 0:
            insert(tx, 1);
            break;
        case 1:
            tx.execute("insert into row values (1, 'x')");
            break;
        case 2:
            tx.pipeline([](pipeline& p) { (void)p.insert(Row{1, "x"}); });
            break;
        case 3:
            (void)repository<Row>{tx}.copy_in(std::vector<Row>{{1, "x"}});
            break;
        case 4:
            leave_early(tx, false);
            insert(tx, 1);
            break;
        default:
            leave_early(tx, true);
            insert(tx, 1);
        }
        if (kept)
            part.release();
    }
    insert(tx, 2);
    tx.commit();
    CHECK(t.stored() == (kept ? ids{1, 2} : ids{2}));
}

TEST_CASE("a savepoint and a stream end in either order") {
    rows t;
    t.run("insert into row select i, repeat('x', 500) from generate_series(1001, 1300) i");
    const bool copies = GENERATE(false, true);
    const std::string order = GENERATE(as<std::string>{}, "the stream first", "the savepoint's scope first",
                                       "the savepoint undone while it lives", "the stream first, then release");
    CAPTURE(copies, order);
    transaction tx{t.counted};
    insert(tx, 1);
    std::optional<savepoint> part{std::in_place, tx};
    insert(tx, 2);
    std::optional<stream<Row>> rows{copies ? repository<Row>{tx}.copy_out() : repository<Row>{tx}.every().stream()};
    (void)rows->begin();
    if (order == "the stream first") {
        rows.reset();
        part.reset();
    } else if (order == "the savepoint's scope first") {
        part.reset();
        rows.reset();
    } else if (order == "the savepoint undone while it lives") {
        CHECK_THROWS_AS(part->rollback(), usage_error); // the stream is under way
        rows.reset();
        part->rollback();
        CHECK_THROWS_AS(part->rollback(), usage_error);
    } else {
        CHECK_THROWS_AS(part->release(), usage_error); // the stream is under way
        rows.reset();
        part->release();
    }
    insert(tx, 3);
    CHECK_NOTHROW(tx.commit());
    t.run("delete from row where id > 1000");
    CHECK(t.stored() == (order == "the stream first, then release" ? ids{1, 2, 3} : ids{1, 3}));
}

TEST_CASE("a savepoint is undone as it was said, whatever is under way then") {
    rows t;
    const std::string guest = GENERATE(as<std::string>{}, "a pipeline", "a pipeline that commits", "a COPY IN");
    const bool by_scope = GENERATE(false, true);
    CAPTURE(guest, by_scope);
    transaction tx{t.counted};
    insert(tx, 1);
    std::optional<savepoint> part{std::in_place, tx};
    insert(tx, 2);
    const auto undo = [&] {
        if (by_scope)
            part.reset();
        else
            CHECK_THROWS_AS(part->rollback(), usage_error); // as everything else there
    };
    if (guest == "a COPY IN")
        (void)repository<Row>{tx}.copy_in([&](auto& sink) {
            sink(Row{3, "x"});
            undo();
        });
    else
        tx.pipeline([&](pipeline& p) {
            (void)p.insert(Row{3, "x"});
            undo();
            if (guest == "a pipeline that commits")
                p.commit();
        });
    if (tx.is_open()) {
        part.reset();
        insert(tx, 4);
        tx.commit();
    }
    const ids stored = t.stored();
    CAPTURE(stored);
    if (by_scope || guest != "a pipeline that commits") {
        CHECK(stored.front() == 1);
        CHECK(std::ranges::find(stored, 2) == stored.end()); // it was undone
    } else
        CHECK(stored == ids{1, 2, 3}); // it was refused
}

TEST_CASE("savepoints that end in another order than reversed fail loudly, and the connection goes on") {
    rows t;
    const bool sent = GENERATE(false, true);
    CAPTURE(sent);
    {
        transaction tx{t.counted};
        insert(tx, 1);
        savepoint outer{tx};
        if (sent)
            insert(tx, 2);
        savepoint inner{tx};
        if (sent)
            insert(tx, 3);
        outer.release();
        bool told = false;
        try {
            inner.release();
            insert(tx, 4);
            tx.commit();
        } catch (const error&) {
            told = true;
        }
        CHECK(told);
    }
    CHECK(t.stored().empty());
    insert(*std::make_unique<transaction>(t.counted), 5);
    CHECK(t.counted.is_open());
}

TEST_CASE("an outer savepoint undoes what inner ones have kept or failed at") {
    rows t;
    transaction tx{t.counted};
    insert(tx, 1);
    try {
        const savepoint outer{tx};
        insert(tx, 2);
        {
            savepoint kept{tx};
            insert(tx, 3);
            kept.release();
        }
        try {
            const savepoint fails{tx};
            insert(tx, 3);
        } catch (const unique_violation&) {
        }
        insert(tx, 4);
        insert(tx, 4);
    } catch (const unique_violation&) {
    }
    insert(tx, 5);
    CHECK_NOTHROW(tx.commit());
    CHECK(t.stored() == ids{1, 5});
}

TEST_CASE("COMMIT carries what is owed: a savepoint that was left undoes a failure before it") {
    rows t;
    transaction tx{t.counted};
    insert(tx, 1);
    try {
        const savepoint fails{tx};
        insert(tx, 1);
    } catch (const unique_violation&) {
    }
    t.gate.reset_counters();
    CHECK_NOTHROW(tx.commit());
    CHECK(t.gate.round_trips() == 1);
    CHECK(t.stored() == ids{1});
}

TEST_CASE("a pipeline that commits carries what was owed before it") {
    rows t;
    const bool keep_id = GENERATE(false, true);
    transaction tx{t.counted, {.keep_id = keep_id}};
    insert(tx, 1);
    try {
        const savepoint fails{tx};
        insert(tx, 2);
        insert(tx, 1);
    } catch (const unique_violation&) {
    }
    tx.pipeline([](pipeline& p) {
        (void)p.insert(Row{3, "x"});
        p.commit();
    });
    CHECK(t.stored() == ids{1, 3});
}

// --- libpqxx on the same connection
// -----------------------------------------------------------------------------------

TEST_CASE("what is owed is sent before libpqxx's own statements") {
    rows t;
    const std::string way = GENERATE(as<std::string>{}, "kept", "undone", "left", "failed");
    CAPTURE(way);
    transaction tx{t.counted};
    auto& other = as_pqxx(tx);
    other.exec("insert into row values (1, 'x')");
    try {
        savepoint part{tx};
        other.exec("insert into row values (2, 'x')");
        if (way == "failed")
            other.exec("insert into row values (2, 'x')");
        insert(tx, 3);
        if (way == "kept")
            part.release();
        else if (way == "undone")
            part.rollback();
    } catch (const pqxx::unique_violation&) {
    }
    other.exec("insert into row values (4, 'x')");
    CHECK_NOTHROW(tx.commit());
    CHECK(t.stored() == (way == "kept" ? ids{1, 2, 3, 4} : ids{1, 4}));
}

TEST_CASE("a savepoint that was begun before libpqxx came is there for it") {
    rows t;
    transaction tx{t.counted};
    std::optional<savepoint> part{std::in_place, tx}; // nothing was sent
    as_pqxx(tx).exec("insert into row values (1, 'x')");
    part.reset();
    as_pqxx(tx).exec("insert into row values (2, 'x')");
    tx.commit();
    CHECK(t.stored() == ids{2});
}

TEST_CASE("a savepoint whose end comes behind a deadline is undone before libpqxx goes on") {
    rows t;
    transaction tx{t.counted};
    auto& other = as_pqxx(tx);
    {
        std::optional<savepoint> part{std::in_place, tx};
        other.exec("insert into row values (1, 'x')");
        const deadline limit{tx, -1ms};
        part.reset();
    }
    other.exec("insert into row values (2, 'x')"); // not a part of it
    CHECK_NOTHROW(tx.commit());
    CHECK(t.stored() == ids{2});
}

TEST_CASE("a stream or a COPY that is left while libpqxx's transaction is held is out of its way") {
    rows t;
    t.run("insert into row select i, repeat('x', 500) from generate_series(1001, 3000) i");
    const bool copies = GENERATE(false, true);
    const bool behind_a_deadline = GENERATE(false, true);
    CAPTURE(copies, behind_a_deadline);
    transaction tx{t.counted};
    auto& other = as_pqxx(tx);
    for (int i = 1; i < 4; ++i) {
        other.exec("insert into row values (" + std::to_string(i) + ", 'x')");
        if (behind_a_deadline) {
            std::optional<deadline> limit;
            auto left = copies ? repository<Row>{tx}.copy_out() : repository<Row>{tx}.every().stream();
            (void)left.begin();
            limit.emplace(tx, -1ms);
            const auto goes = std::move(left);
        } else
            leave_early(tx, copies);
        CHECK(other.exec("select count(*) from row").one_field().as<int>() == 2'000 + i);
    }
    std::int64_t read = 0;
    for (const Row& row : repository<Row>{tx}.every().stream())
        read += row.id > 0 ? 1 : 0;
    CHECK(read == 2'003);
    read = 0;
    for (const Row& row : repository<Row>{tx}.copy_out())
        read += row.id > 0 ? 1 : 0;
    CHECK(read == 2'003);
    CHECK(other.exec("select count(*) from row").one_field().as<int>() == 2'003);
    CHECK_NOTHROW(tx.commit());
    t.run("delete from row where id > 1000");
    CHECK(t.stored() == ids{1, 2, 3});
}

TEST_CASE("libpqxx's transaction of one transaction is not that of the next, whatever was under way at its end") {
    rows t;
    t.run("insert into row select i, repeat('x', 500) from generate_series(1001, 3000) i");
    const std::string guest = GENERATE(as<std::string>{}, "nothing", "a stream", "a COPY OUT", "a pipeline");
    CAPTURE(guest);
    std::optional<stream<Row>> rows;
    {
        transaction tx{t.counted};
        (void)as_pqxx(tx).exec("select 1");
        if (guest == "a stream")
            rows = repository<Row>{tx}.every().stream();
        else if (guest == "a COPY OUT")
            rows = repository<Row>{tx}.copy_out();
        if (rows)
            (void)rows->begin();
        if (guest == "a pipeline")
            CHECK_THROWS(tx.pipeline([](pipeline& p) {
                (void)p.find<Row>(std::int64_t{1});
                throw std::runtime_error("stop");
            }));
        tx.rollback();
    }
    transaction next{t.counted};
    t.gate.reset_counters();
    insert(next, 1);
    CHECK(t.gate.round_trips() == 1); // BEGIN included: the connection is not lent any more
    {
        savepoint part{next};
        part.release();
    }
    CHECK(t.gate.round_trips() == 1);
    rows.reset();
    as_pqxx(next).exec("insert into row values (2, 'x')");
    CHECK_NOTHROW(next.commit());
    t.run("delete from row where id > 1000");
    CHECK(t.stored() == ids{1, 2});
}
