// Who occupies a session, and what becomes of those who leave: without a session.
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/core/error.hpp>

#include "src/pg/guest.hpp"

using Catch::Matchers::ContainsSubstring;
using tenon::usage_error;
using tenon::detail::guest;
using tenon::detail::guest_seat;
using tenon::detail::seated;

namespace {

constexpr auto goes_on = guest::clock::time_point::max();

struct visits {
    int wound_up = 0;
    int destroyed = 0;
    guest::clock::time_point until{};
    std::function<void()> meanwhile{};
};

class visitor final : public guest {
public:
    visitor(guest_seat& at, visits& seen, const char* name = "a visit") : guest(at, name), seen_(seen) {}
    visitor(const visitor&) = delete;
    visitor& operator=(const visitor&) = delete;
    ~visitor() override { ++seen_.destroyed; }

    void work() const { require_seat(); }
    void end() noexcept { stand_up(); }

private:
    void wind_up(clock::time_point until) override {
        ++seen_.wound_up;
        seen_.until = until;
        if (seen_.meanwhile)
            seen_.meanwhile();
    }
    visits& seen_;
};

seated<visitor> visit(guest_seat& at, visits& seen, const char* name = "a visit") {
    return seated<visitor>(new visitor(at, seen, name));
}

} // namespace

TEST_CASE("a seat has one guest at a time, and who else comes is told who it is") {
    visits seen;
    guest_seat seat;
    const auto first = visit(seat, seen, "a pipeline");
    CHECK(seat.is_taken());
    CHECK_THROWS_AS(visit(seat, seen, "a stream"), usage_error);
    try {
        seat.require_free();
        FAIL("the seat is free");
    } catch (const usage_error& taken) {
        CHECK_THAT(taken.what(), ContainsSubstring("a pipeline is under way"));
    }
    CHECK_NOTHROW(first->work()); // nothing was taken from it
    CHECK(seen.wound_up == 0);
}

TEST_CASE("a guest that has come to its end leaves nothing behind, and the seat is free") {
    visits seen;
    guest_seat seat;
    auto first = visit(seat, seen);
    first->end();
    CHECK_FALSE(seat.is_taken());
    const auto second = visit(seat, seen);
    first.reset();
    CHECK(seen.destroyed == 1);
    CHECK(seen.wound_up == 0);
    CHECK(seat.is_taken()); // the second one's
    CHECK_FALSE(seat.is_left());
    CHECK_NOTHROW(second->work());
}

TEST_CASE("a guest that has left is cleared when the seat is asked for, not while it leaves") {
    visits seen;
    guest_seat seat;
    {
        const auto one = visit(seat, seen);
    }
    CHECK(seat.is_left());
    CHECK(seat.is_taken());
    CHECK_NOTHROW(seat.require_free());
    CHECK(seen.wound_up == 0);
    CHECK(seen.destroyed == 0);

    seat.clear(goes_on);
    CHECK(seen.wound_up == 1);
    CHECK(seen.until == goes_on);
    CHECK(seen.destroyed == 1);
    CHECK_FALSE(seat.is_left());
    CHECK_FALSE(seat.is_taken());
    seat.clear(goes_on);
    CHECK(seen.wound_up == 1);
}

TEST_CASE("a guest that leaves in the middle of an exception is not wound up there") {
    visits seen;
    guest_seat seat;
    seen.meanwhile = [] { CHECK(std::uncaught_exceptions() == 0); };
    CHECK_THROWS_AS(
        [&] {
            const auto one = visit(seat, seen);
            throw std::runtime_error("stop");
        }(),
        std::runtime_error);
    CHECK(seen.wound_up == 0);
    seat.clear(goes_on);
    CHECK(seen.wound_up == 1);
}

TEST_CASE("a guest whose transaction ends is wound up where it sits, and can do nothing more") {
    visits seen;
    guest_seat seat;
    auto one = visit(seat, seen, "a COPY");
    const auto until = guest::clock::time_point{std::chrono::hours(1)};
    seat.clear(until);
    CHECK(seen.wound_up == 1);
    CHECK(seen.until == until);
    CHECK(seen.destroyed == 0);
    CHECK_FALSE(one->is_seated());
    CHECK_FALSE(seat.is_taken());
    try {
        one->work();
        FAIL("it works on");
    } catch (const usage_error& outlived) {
        CHECK_THAT(outlived.what(), ContainsSubstring("a COPY cannot go on: its transaction has ended"));
    }

    const auto next = visit(seat, seen); // of the next transaction
    one.reset();
    CHECK(seen.destroyed == 1);
    CHECK(seen.wound_up == 1);
    CHECK_NOTHROW(next->work());
    CHECK_FALSE(seat.is_left());
}

TEST_CASE("a guest that outlives its seat touches nothing") {
    visits seen;
    auto seat = std::make_unique<guest_seat>();
    auto one = visit(*seat, seen);
    seat.reset();
    CHECK_FALSE(one->is_seated());
    CHECK_THROWS_AS(one->work(), usage_error);
    one.reset();
    CHECK(seen.destroyed == 1);
    CHECK(seen.wound_up == 0);
}

TEST_CASE("a seat that goes takes with it what has left it") {
    visits seen;
    {
        guest_seat seat;
        const auto one = visit(seat, seen);
    }
    CHECK(seen.destroyed == 1);
    CHECK(seen.wound_up == 0);
}

TEST_CASE("clearing frees the seat even when winding up throws") {
    visits seen;
    guest_seat seat;
    seen.meanwhile = [] { throw std::runtime_error("lost"); };
    SECTION("of one that has left") {
        visit(seat, seen).reset();
        CHECK_THROWS_AS(seat.clear(goes_on), std::runtime_error);
        CHECK(seen.destroyed == 1);
    }
    SECTION("of one that sits there") {
        const auto one = visit(seat, seen);
        CHECK_THROWS_AS(seat.clear(goes_on), std::runtime_error);
        CHECK_FALSE(one->is_seated());
    }
    CHECK(seen.wound_up == 1);
    CHECK_FALSE(seat.is_left());
    CHECK_FALSE(seat.is_taken());
    seen.meanwhile = {};
    CHECK_NOTHROW(visit(seat, seen)->work());
}

TEST_CASE("the seat is still taken while its guest is wound up") {
    visits seen;
    guest_seat seat;
    seen.meanwhile = [&] {
        CHECK(seat.is_taken());
        CHECK_THROWS_AS(seat.require_free(), usage_error);
    };
    visit(seat, seen).reset();
    seat.clear(goes_on);
    CHECK(seen.wound_up == 1);
}

TEST_CASE("where other code may come next, who leaves is cleared there and then") {
    visits seen;
    guest_seat seat;
    seat.clear_at_once([&] { seat.clear(goes_on); });
    visit(seat, seen).reset();
    CHECK(seen.wound_up == 1);
    CHECK(seen.destroyed == 1);
    CHECK_FALSE(seat.is_taken());

    auto ends = visit(seat, seen); // nothing to be cleared
    ends->end();
    ends.reset();
    CHECK(seen.wound_up == 1);

    seat.clear_at_once({});
    visit(seat, seen).reset();
    CHECK(seen.wound_up == 1);
    CHECK(seat.is_left());
}
