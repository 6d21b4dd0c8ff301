#include <tenon/pg/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Item {
    std::int64_t id{};
    std::string name;

    static constexpr auto table = tenon::table("item", tenon::key<&Item::id>);

    friend bool operator==(const Item&, const Item&) = default;
};

struct Other {
    std::int64_t id{};

    static constexpr auto table = tenon::table("other", tenon::key<&Other::id>);
};

struct items : database_fixture {
    items() {
        run("create table item (id bigint primary key, name text not null); create table other (id bigint primary "
            "key)");
    }
    std::int64_t count() {
        transaction tx(db);
        return repository<Item>{tx}.count();
    }
};

} // namespace

TEST_CASE("queued statements are answered at the end of the block") {
    items t;
    transaction tx(t.db);
    pending<Item> stored;
    pending<std::optional<Item>> found;
    pending<std::optional<Item>> missing;
    pending<bool> erased;
    tx.pipeline([&](pipeline& p) {
        stored = p.insert(Item{1, "one"});
        found = p.find<Item>(1);
        missing = p.find<Item>(2);
        erased = p.erase<Item>(1);
        CHECK(p.size() == 4);
        CHECK_THROWS_AS(found.get(), usage_error);
    });
    CHECK(stored.get() == Item{1, "one"});
    CHECK(found.get() == Item{1, "one"});
    CHECK_FALSE(missing.get());
    CHECK(erased.get());
}

TEST_CASE("a repository works on a pipeline as on a transaction") {
    items t;
    transaction tx(t.db);
    pending<Item> updated;
    pending<Item> upserted;
    pending<std::vector<Item>> many;
    tx.pipeline([&](pipeline& p) {
        repository<Item, pipeline> all{p};
        (void)all.insert({1, "one"});
        updated = all.update(1, col<&Item::name>, "uno");
        upserted = all.upsert({2, "two"});
        many = all.find_many({1, 2, 3});
    });
    CHECK(updated.get().name == "uno");
    CHECK(upserted.get().id == 2);
    CHECK(many.get().size() == 2);
}

TEST_CASE("ten thousand statements travel without a deadlock, their answers in order") {
    items t;
    transaction tx(t.db);
    std::vector<pending<Item>> stored;
    const std::string long_name(2000, 'x'); // 20 MB each way: more than all socket buffers hold
    tx.pipeline([&](pipeline& p) {
        for (std::int64_t i = 0; i < 10'000; ++i)
            stored.push_back(p.insert(Item{i, long_name}));
    });
    for (std::int64_t i = 0; i < 10'000; ++i)
        if (stored[static_cast<std::size_t>(i)].get().id != i)
            FAIL("answer " << i << " is another's");
    CHECK(repository<Item>{tx}.count() == 10'000);
}

TEST_CASE("statements of several kinds, new to the session in the middle") {
    items t;
    transaction tx(t.db);
    pending<Item> item;
    pending<Other> other;
    tx.pipeline([&](pipeline& p) {
        for (std::int64_t i = 0; i < 5; ++i)
            item = p.insert(Item{i, "x"});
        other = p.insert(Other{7});
        (void)p.find<Item>(3);
    });
    CHECK(item.get().id == 4);
    CHECK(other.get().id == 7);
}

TEST_CASE("the first failure is thrown with its number, and what is behind it does not run") {
    items t;
    {
        transaction tx(t.db);
        pending<Item> last;
        try {
            tx.pipeline([&](pipeline& p) {
                (void)p.insert(Item{1, "one"});
                (void)p.insert(Item{1, "again"});
                last = p.insert(Item{2, "two"});
            });
            FAIL("no failure");
        } catch (const unique_violation& failure) {
            CHECK_THAT(failure.what(),
                       ContainsSubstring("statement 2 of the pipeline, insert into item (record Item)"));
        }
        CHECK_THROWS_AS(last.get(), usage_error);
        CHECK_THROWS_AS(tx.commit(), failed_transaction);
    }
    CHECK(t.count() == 0);
}

TEST_CASE("a block that throws leaves a usable transaction") {
    items t;
    transaction tx(t.db);
    CHECK_THROWS_AS(tx.pipeline([&](pipeline& p) {
        (void)p.insert(Item{1, "one"});
        throw std::runtime_error("stop");
    }),
                    std::runtime_error);
    CHECK(repository<Item>{tx}.count() == 1);
    tx.commit();
    CHECK(t.count() == 1);
}

TEST_CASE("an empty pipeline does nothing") {
    items t;
    transaction tx(t.db);
    tx.pipeline([](pipeline&) {});
    CHECK(repository<Item>{tx}.count() == 0);
}

TEST_CASE("a pipeline can commit, and then the transaction has ended") {
    items t;
    transaction tx(t.db);
    tx.pipeline([&](pipeline& p) {
        (void)p.insert(Item{1, "one"});
        p.commit();
        CHECK_THROWS_AS(p.insert(Item{2, "two"}), usage_error);
    });
    CHECK_FALSE(tx.is_open());
    CHECK(t.count() == 1);
    t.db.transact([](transaction& again) {
        again.pipeline([](pipeline& p) {
            (void)p.insert(Item{2, "two"});
            p.commit();
        });
    });
    CHECK(t.count() == 2);
}

TEST_CASE("a failure keeps a pipeline from committing") {
    items t;
    transaction tx(t.db);
    CHECK_THROWS_AS(tx.pipeline([&](pipeline& p) {
        (void)p.insert(Item{1, "one"});
        (void)p.insert(Item{1, "again"});
        p.commit();
    }),
                    unique_violation);
    CHECK_FALSE(tx.is_open());
    CHECK(t.count() == 0);
}

TEST_CASE("a value that cannot be sent stops the block before the statement") {
    items t;
    transaction tx(t.db);
    CHECK_THROWS_AS(tx.pipeline([&](pipeline& p) {
        (void)p.insert(Item{1, "one"});
        (void)p.insert(Item{2, std::string("a\0b", 3)});
    }),
                    encode_error);
    CHECK(repository<Item>{tx}.count() == 1);
}
