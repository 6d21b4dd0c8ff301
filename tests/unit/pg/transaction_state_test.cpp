// What a session knows of its transaction, without a server.
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "src/pg/transaction_state.hpp"

using namespace std::chrono_literals;
using tenon::isolation;
using tenon::transaction_options;
using tenon::detail::prelude;
using tenon::detail::transaction_state;
using clock_type = transaction_state::clock;

namespace {

struct begun : transaction_state {
    explicit begun(const transaction_options& how = {}) { begin(how, {}); }
};

std::string text_of(const transaction_options& how) {
    return std::string(begun{how}.begin_text());
}

constexpr prelude fence{.sql = "select 1", .values = {}};

} // namespace

TEST_CASE("BEGIN says the level always, and what else is asked for") {
    CHECK(text_of({}) == "begin isolation level read committed");
    struct {
        isolation level;
        const char* text;
    } const levels[]{{isolation::read_committed, "begin isolation level read committed"},
                     {isolation::repeatable_read, "begin isolation level repeatable read"},
                     {isolation::serializable, "begin isolation level serializable"}};
    for (const auto& each : levels) {
        const std::string text = each.text;
        CHECK(text_of({.level = each.level}) == text);
        CHECK(text_of({.level = each.level, .read_only = true}) == text + " read only");
        CHECK(text_of({.level = each.level, .deferrable = true}) == text + " deferrable");
        CHECK(text_of({.level = each.level, .read_only = true, .deferrable = true}) == text + " read only deferrable");
    }
}

TEST_CASE("BEGIN's text ends in NUL, as libpq takes it") {
    for (const bool read_only : {false, true}) {
        const begun one{{.read_only = read_only}};
        CHECK(std::string_view(one.begin_text().data()) == one.begin_text());
    }
}

TEST_CASE("BEGIN is due until it was sent") {
    begun one;
    CHECK(one.is_open());
    CHECK(one.is_unsent());
    CHECK(one.preface_due());
    one.note_begin_sent();
    CHECK(one.is_open());
    CHECK_FALSE(one.is_unsent());
    CHECK_FALSE(one.preface_due());
}

TEST_CASE("a transaction has no deadline unless one is asked for") {
    CHECK_FALSE(begun{}.has_deadline());
    CHECK_FALSE(begun{{.deadline = 0ms}}.has_deadline());

    const auto before = clock_type::now();
    const begun one{{.deadline = 500ms}};
    CHECK(one.has_deadline());
    CHECK(one.deadline() >= before + 500ms);
    CHECK(one.deadline() <= clock_type::now() + 500ms);
}

TEST_CASE("the longest deadline is not taken for the past") {
    for (const auto within : {std::chrono::milliseconds::max(), std::chrono::milliseconds::max() - 1ms,
                              std::chrono::milliseconds(std::chrono::hours(24 * 365 * 400))}) {
        const begun one{{.deadline = within}};
        CHECK(one.deadline() > clock_type::now() + std::chrono::hours(24 * 365 * 100));
    }
}

TEST_CASE("what is owed travels in the order in which it was owed, what a guest leaves behind in front of it") {
    begun one;
    one.note_begin_sent();
    one.owe("savepoint a");
    CHECK(one.preface_due());
    one.owe("savepoint b");
    one.owe_first("release savepoint stream");
    one.owe_first("rollback to savepoint stream");
    CHECK(one.owed() == std::vector<std::string>{"rollback to savepoint stream", "release savepoint stream",
                                                 "savepoint a", "savepoint b"});
    (void)one.take_owed();
    CHECK(one.owed().empty());
    CHECK_FALSE(one.preface_due());
}

TEST_CASE("a savepoint in which nothing was sent is forgiven, another is not") {
    begun one;
    one.owe("savepoint a");
    one.owe("savepoint b");
    CHECK_FALSE(one.forgive("savepoint a")); // there is one inside of it
    CHECK(one.forgive("savepoint b"));
    CHECK(one.forgive("savepoint a"));
    CHECK_FALSE(one.forgive("savepoint a"));
    one.owe("savepoint c");
    (void)one.take_owed();
    CHECK_FALSE(one.forgive("savepoint c"));
}

TEST_CASE("the first failure is kept, until a savepoint undoes it") {
    begun one;
    CHECK(one.first_failure().sentence.empty());
    one.note_failure("duplicate key", "23505");
    one.note_failure("current transaction is aborted", "25P02");
    CHECK(one.first_failure().sentence == "duplicate key");
    CHECK(one.first_failure().sqlstate == "23505");
    one.forget_failure();
    one.note_failure("division by zero", "22012");
    CHECK(one.first_failure().sentence == "division by zero");
}

TEST_CASE("a failure outside of a transaction is nobody's") {
    transaction_state none;
    none.note_failure("duplicate key", "23505");
    CHECK(none.first_failure().sentence.empty());
    none.begin({}, {});
    CHECK(none.first_failure().sentence.empty());
}

TEST_CASE("a transaction whose BEGIN was not run is void until it ends") {
    begun one;
    one.note_begin_sent();
    CHECK_FALSE(one.is_void());
    one.note_void();
    CHECK(one.is_void());
    CHECK(one.is_open());
    one.end();
    CHECK_FALSE(one.is_void());
}

TEST_CASE("a BEGIN that is taken back is due again, with its fence and without the failure") {
    begun one;
    one.lead_with(fence);
    const std::string_view text = one.begin_text();
    one.note_begin_sent();
    one.note_fence_sent();
    one.note_failure("prepared statement does not exist", "26000");
    one.take_begin_back(text, &fence);
    CHECK(one.is_unsent());
    CHECK(one.begin_text() == text);
    CHECK(one.fence_due() == &fence);
    CHECK(one.fence() == &fence);
    CHECK(one.first_failure().sentence.empty());
}

TEST_CASE("a fence is due until it was sent, and known until the end") {
    begun one;
    CHECK(one.fence() == nullptr);
    one.lead_with(fence);
    CHECK(one.fence_due() == &fence);
    one.note_fence_sent();
    CHECK(one.fence_due() == nullptr);
    CHECK(one.fence() == &fence);
    one.end();
    CHECK(one.fence() == nullptr);
}

TEST_CASE("nothing of a transaction is left when it ends, but its id") {
    const auto began = clock_type::now();
    transaction_state one;
    one.begin({.read_only = true, .deadline = 1h, .keep_id = true}, began);
    CHECK(one.began_at() == began);
    CHECK(one.keeps_id());
    CHECK(one.is_read_only());
    one.lead_with(fence);
    one.id(4711);
    one.owe("savepoint a");
    one.note_raw_sql();
    one.note_void();
    one.note_failure("duplicate key", "23505");
    const auto number = one.number();

    one.end();
    CHECK_FALSE(one.is_open());
    CHECK_FALSE(one.has_deadline());
    CHECK_FALSE(one.preface_due());
    CHECK_FALSE(one.is_unsent());
    CHECK_FALSE(one.saw_raw_sql());
    CHECK_FALSE(one.is_void());
    CHECK(one.fence() == nullptr);
    CHECK(one.fence_due() == nullptr);
    CHECK(one.owed().empty());
    CHECK(one.first_failure().sentence.empty());
    CHECK(one.id() == 4711);

    one.begin({}, {});
    CHECK(one.id() == 0);
    CHECK_FALSE(one.keeps_id());
    CHECK_FALSE(one.is_read_only());
    CHECK(one.number() == number + 1);
}

TEST_CASE("a transaction that begins takes nothing over from one that was never ended") {
    begun one{{.deadline = 1h}};
    one.owe("savepoint a");
    one.lead_with(fence);
    one.begin({}, {});
    CHECK_FALSE(one.has_deadline());
    CHECK(one.owed().empty());
    CHECK(one.fence() == nullptr);
    CHECK(one.is_unsent());
}
