// What a session keeps of its statements, and what the server still holds of those it has dropped.
#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>

#include "src/pg/statement_cache.hpp"

using tenon::hash_of;
using tenon::shapes_of;
using tenon::statement;
using tenon::detail::prepared;
using tenon::detail::statement_cache;

namespace {

statement text(std::string_view sql) {
    return {.sql = sql, .hash = hash_of(sql)};
}

/// Prepares it as a session does; its name on the server.
std::string prepare(statement_cache& cache, const statement& what) {
    cache.make_room();
    std::string name = cache.next_name();
    cache.add(what, {.name = name});
    return name;
}

struct One {
    int id{};
};
struct Two {
    int id{};
};
const tenon::record_shape one_shape{.record = "One", .table = "row", .columns = {}};
const tenon::record_shape two_shape{.record = "Two", .table = "row", .columns = {}};

} // namespace

TEST_CASE("a statement is found again by its text, and by no other") {
    statement_cache cache{4};
    CHECK(cache.find(text("select 1")) == nullptr);
    const std::string name = prepare(cache, text("select 1"));
    const std::string same("select 1"); // at another address
    const prepared* const found = cache.find(text(same));
    REQUIRE(found != nullptr);
    CHECK(found->name == name);
    CHECK(cache.find(text("select 2")) == nullptr);
    CHECK(cache.size() == 1);
}

TEST_CASE("the cache keeps its own copy of a text that goes") {
    statement_cache cache{4};
    {
        const std::string temporary(100, 'x');
        prepare(cache, text(temporary));
    }
    CHECK(cache.find(text(std::string(100, 'x'))) != nullptr);
}

TEST_CASE("no name is used twice, whatever was dropped") {
    statement_cache cache{1};
    std::set<std::string> names;
    for (int i = 0; i < 100; ++i) {
        const std::string sql = "select " + std::to_string(i % 3);
        if (cache.find(text(sql)) == nullptr)
            CHECK(names.insert(prepare(cache, text(sql))).second);
    }
    CHECK_FALSE(names.contains(""));
}

TEST_CASE("the server holds the limit and what is to be dropped, never more") {
    statement_cache cache{3};
    std::set<std::string> on_server;
    for (int i = 0; i < 50; ++i) {
        on_server.insert(prepare(cache, text("select " + std::to_string(i))));
        CHECK(cache.size() <= 3);
        CHECK(on_server.size() == cache.size() + cache.dropped().size());
        if (i % 7 == 0) { // a round trip in which the server dropped them
            for (const std::string& name : cache.dropped())
                CHECK(on_server.erase(name) == 1);
            cache.note_dropped(cache.dropped().size());
        }
    }
}

TEST_CASE("the one used longest ago is dropped") {
    statement_cache cache{3};
    const std::string a = prepare(cache, text("a"));
    const std::string b = prepare(cache, text("b"));
    prepare(cache, text("c"));
    CHECK(cache.find(text("a")) != nullptr); // used again
    prepare(cache, text("d"));
    CHECK(cache.find(text("b")) == nullptr);
    REQUIRE(cache.dropped().size() == 1);
    CHECK(cache.dropped()[0] == b);
    CHECK(cache.find(text("c")) != nullptr);
    prepare(cache, text("e"));
    CHECK(cache.find(text("a")) == nullptr);
    CHECK(cache.dropped()[1] == a);
    CHECK(cache.find(text("c")) != nullptr);
    CHECK(cache.find(text("d")) != nullptr);
    CHECK(cache.find(text("e")) != nullptr);
}

TEST_CASE("what was dropped stays on the list until the server is known to have dropped it") {
    statement_cache cache{1};
    prepare(cache, text("a"));
    prepare(cache, text("b"));
    prepare(cache, text("c"));
    REQUIRE(cache.dropped().size() == 2);
    const std::string second = cache.dropped()[1];
    cache.note_dropped(1); // the other one was refused, or not reached
    REQUIRE(cache.dropped().size() == 1);
    CHECK(cache.dropped()[0] == second);
    cache.note_dropped(0);
    CHECK(cache.dropped().size() == 1);
    cache.note_dropped(1);
    CHECK(cache.dropped().empty());
}

TEST_CASE("a statement that was prepared and did not pass its check is dropped without having been known") {
    statement_cache cache{2};
    std::string name = cache.next_name();
    const std::string copy = name;
    cache.drop(std::move(name));
    CHECK(cache.size() == 0);
    REQUIRE(cache.dropped().size() == 1);
    CHECK(cache.dropped()[0] == copy);
}

TEST_CASE("the same text with parameters of other types is another statement") {
    statement_cache cache{4};
    constexpr std::string_view sql = "select $1";
    const statement with_int{.sql = sql, .parameters = shapes_of<int>, .hash = hash_of(sql)};
    const statement with_text{.sql = sql, .parameters = shapes_of<std::string>, .hash = hash_of(sql)};
    const std::string first = prepare(cache, with_int);
    CHECK(cache.find(with_text) == nullptr);
    const std::string second = prepare(cache, with_text);
    CHECK(cache.find(with_int)->name == first);
    CHECK(cache.find(with_text)->name == second);
}

TEST_CASE("the same text with a result of other types, or of another record, is another statement") {
    statement_cache cache{8};
    constexpr std::string_view sql = "select id from row";
    const statement as_int{.sql = sql, .results = shapes_of<int>, .hash = hash_of(sql), .constant = true};
    const statement as_long{.sql = sql, .results = shapes_of<std::int64_t>, .hash = hash_of(sql), .constant = true};
    const statement of_one{.sql = sql, .record = &one_shape, .hash = hash_of(sql), .constant = true};
    const statement of_two{.sql = sql, .record = &two_shape, .hash = hash_of(sql), .constant = true};
    std::set<std::string> names;
    for (const statement& each : {as_int, as_long, of_one, of_two}) {
        CHECK(cache.find(each) == nullptr);
        names.insert(prepare(cache, each));
    }
    CHECK(names.size() == 4);
    CHECK(names.contains(cache.find(of_one)->name));
    CHECK(cache.find(of_one)->name != cache.find(of_two)->name);
    CHECK(cache.find(as_int)->name != cache.find(as_long)->name);
}

TEST_CASE("a constant text at the same address but of another length is another statement") {
    statement_cache cache{4};
    static constexpr std::string_view both = "select 1 from row where id = 1";
    const auto constant = [](std::string_view sql, std::size_t hash) {
        return statement{.sql = sql, .hash = hash, .constant = true};
    };
    const std::string_view front = both.substr(0, 17);
    SECTION("with hashes of their own") {
        const std::string name = prepare(cache, constant(both, hash_of(both)));
        CHECK(cache.find(constant(front, hash_of(front))) == nullptr);
        prepare(cache, constant(front, hash_of(front)));
        CHECK(cache.find(constant(both, hash_of(both)))->name == name);
    }
    SECTION("without hashes, or where they are the same") {
        const std::string name = prepare(cache, constant(both, 0));
        CHECK(cache.find(constant(front, 0)) == nullptr);
        CHECK(prepare(cache, constant(front, 0)) != name);
        CHECK(cache.find(constant(both, 0))->name == name);
    }
}

TEST_CASE("texts of one hash and length are told apart") {
    statement_cache cache{4};
    const statement a{.sql = "select 1", .hash = 7};
    const statement b{.sql = "select 2", .hash = 7};
    const std::string first = prepare(cache, a);
    CHECK(cache.find(b) == nullptr);
    const std::string second = prepare(cache, b);
    CHECK(cache.find(a)->name == first);
    CHECK(cache.find(b)->name == second);
}

TEST_CASE("a constant and a text made on the way are one statement") {
    statement_cache cache{4};
    static constexpr std::string_view sql = "select 1";
    const std::string name = prepare(cache, {.sql = sql, .hash = hash_of(sql), .constant = true});
    const std::string made("select 1");
    REQUIRE(cache.find(text(made)) != nullptr);
    CHECK(cache.find(text(made))->name == name);
}

TEST_CASE("after 26000 nothing is known, and nothing is left to be dropped") {
    statement_cache cache{2};
    for (const char* sql : {"a", "b", "c"})
        prepare(cache, text(sql));
    CHECK(cache.dropped().size() == 1);
    CHECK(cache.forget("b", "26000"));
    CHECK(cache.size() == 0);
    CHECK(cache.dropped().empty());
    for (const char* sql : {"a", "b", "c"})
        CHECK(cache.find(text(sql)) == nullptr);
}

TEST_CASE("after 0A000 every statement of that text is prepared anew, and the old ones are dropped") {
    statement_cache cache{8};
    constexpr std::string_view sql = "select * from row";
    const statement of_one{.sql = sql, .record = &one_shape, .hash = hash_of(sql)};
    const statement of_two{.sql = sql, .record = &two_shape, .hash = hash_of(sql)};
    const std::set<std::string> old{prepare(cache, of_one), prepare(cache, of_two)};
    const std::string other = prepare(cache, text("select 1"));

    CHECK(cache.forget(sql, "0A000"));
    CHECK(cache.find(of_one) == nullptr);
    CHECK(cache.find(of_two) == nullptr);
    CHECK(std::set<std::string>(cache.dropped().begin(), cache.dropped().end()) == old);
    CHECK(cache.find(text("select 1"))->name == other);
    CHECK_FALSE(cache.forget(sql, "0A000")); // of a statement that is not in the cache: it has another reason
}

TEST_CASE("other refusals have nothing to do with the cache") {
    statement_cache cache{2};
    const std::string name = prepare(cache, text("a"));
    for (const char* state : {"", "23505", "25P02", "40001", "42P01", "57014"})
        CHECK_FALSE(cache.forget("a", state));
    CHECK(cache.find(text("a"))->name == name);
    CHECK(cache.dropped().empty());
}

TEST_CASE("a cache of nothing keeps no names, but what it has found out about a bounded number of statements") {
    statement_cache cache{0};
    CHECK_FALSE(cache.keeps_on_server());
    for (int i = 0; i < 2'000; ++i)
        CHECK(prepare(cache, text("select " + std::to_string(i))).empty());
    CHECK(cache.find(text("select 1999")) != nullptr);
    CHECK(cache.find(text("select 0")) == nullptr);
    CHECK(cache.size() <= 256);
    CHECK(cache.dropped().empty());
}
