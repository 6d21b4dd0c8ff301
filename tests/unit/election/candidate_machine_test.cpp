// Decisions of a candidate, without a server and without time passing.
#include <catch2/catch_test_macros.hpp>

#include "src/election/candidate_machine.hpp"

using namespace std::chrono_literals;
using tenon::boot_clock;
using tenon::term_end;
using tenon::detail::candidate_machine;
using step = candidate_machine::step;
using state = candidate_machine::state;

namespace {

constexpr boot_clock::time_point start{1'000s};

struct candidate : candidate_machine {
    explicit candidate(unsigned seed = 1) : candidate_machine({.lease = 2s, .margin = 200ms, .poll = 100ms}, seed) {}

    void lead_since(boot_clock::time_point at) {
        opened(at);
        granted(at, true);
        bumped(at);
    }
};

} // namespace

TEST_CASE(
    "a candidate opens a session, tries, and tries again within its poll interval, but no sooner than half of it") {
    for (unsigned seed = 1; seed < 200; ++seed) {
        candidate c{seed};
        CHECK(c.next(start).what == step::open);
        c.opened(start);
        CHECK(c.next(start).what == step::try_lock);
        c.refused(start);
        const auto again = c.next(start);
        CHECK(again.what == step::wait);
        CHECK(again.until >= start + 50ms);
        CHECK(again.until <= start + 100ms);
        CHECK(c.next(again.until).what == step::try_lock);
    }
}

TEST_CASE("a resignation is followed by a try within a quarter of the poll interval") {
    candidate c;
    c.opened(start);
    c.refused(start);
    c.vacated(start + 1ms);
    CHECK(c.next(start + 1ms + 25ms).what == step::try_lock);
}

TEST_CASE("pauses between sessions that cannot be opened grow to a quarter of a second") {
    candidate c;
    auto now = start;
    for (int i = 0; i < 50; ++i) {
        c.open_failed(now);
        const auto next = c.next(now);
        if (next.what == step::wait) {
            CHECK(next.until <= now + 250ms);
            now = next.until;
        }
        CHECK(c.next(now).what == step::open);
    }
}

TEST_CASE("a session that the server refuses to serve is not opened again at once") {
    for (unsigned seed = 1; seed < 50; ++seed) {
        candidate c{seed};
        c.opened(start);
        c.lost(start);
        CHECK(c.next(start + 49ms).what == step::wait);
        CHECK(c.next(start + 100ms).what == step::open);
        c.opened(start);
        c.refused(start);
        c.lost(start); // one that had worked is
        CHECK(c.next(start + 10ms).what == step::open);
    }
}

TEST_CASE("a claim that nobody's transaction holds up is not repeated in a hurry") {
    candidate c;
    c.opened(start);
    c.granted(start, true);
    c.blocked(start);
    c.predecessors_ended(start, false);
    CHECK(c.next(start + 49ms).what == step::wait);
    CHECK(c.next(start + 100ms).what == step::bump);
}

TEST_CASE("the lock alone is no leadership: the term comes first") {
    candidate c;
    c.opened(start);
    c.granted(start, true);
    CHECK(c.now_in() == state::claiming);
    CHECK(c.next(start).what == step::bump);
    c.blocked(start);
    CHECK(c.next(start).what == step::end_predecessors);
    c.predecessors_ended(start, true);
    CHECK(c.next(start).what == step::bump);
    c.bumped(start);
    CHECK(c.now_in() == state::leading);
}

TEST_CASE("a leader that did not resign is given a moment to hear that it is none any more") {
    candidate c;
    c.opened(start);
    c.granted(start, false);
    const auto moment = c.next(start);
    CHECK(moment.what == step::wait);
    CHECK(moment.until == start + 25ms);
    CHECK(c.next(moment.until).what == step::bump);
}

TEST_CASE("a claim that the server does not answer is given up, and begun again") {
    candidate c;
    c.opened(start);
    c.granted(start, true);
    CHECK(c.next(start + 2s).what == step::close);
    CHECK(c.now_in() == state::offline);
}

TEST_CASE("a leader says every quarter of its lease that it lives") {
    candidate c;
    c.lead_since(start);
    const auto rest = c.next(start);
    CHECK(rest.what == step::wait);
    CHECK(rest.until == start + 500ms);
    CHECK(c.next(start + 500ms).what == step::heartbeat);
}

TEST_CASE("a lease is trusted from when the answered heartbeat was sent, not from its answer") {
    candidate c;
    c.lead_since(start);
    CHECK(c.deadline() == start + 1800ms);
    c.acknowledged(start + 500ms); // whenever the answer came
    CHECK(c.deadline() == start + 2300ms);
}

TEST_CASE("a leader that did not run past its deadline leads no more, before anything else") {
    candidate c;
    c.lead_since(start);
    CHECK(c.next(start + 1800ms).what == step::close);
    CHECK(c.now_in() == state::over);
    CHECK(c.cause() == term_end::lease_ran_out);
}

TEST_CASE("a leader whose session is lost leads no more") {
    candidate c;
    c.lead_since(start);
    c.lost(start + 1ms);
    CHECK(c.now_in() == state::over);
    CHECK(c.cause() == term_end::session_lost);
}

TEST_CASE("a leader that resigns keeps its lease until its work is done, then unlocks") {
    candidate c;
    c.lead_since(start);
    c.leave(term_end::resigned);
    CHECK(c.next(start + 500ms).what == step::heartbeat);
    c.acknowledged(start + 500ms);
    c.drained();
    CHECK(c.next(start + 501ms).what == step::unlock);
    c.unlocked();
    CHECK(c.now_in() == state::over);
    CHECK(c.cause() == term_end::resigned);
}

TEST_CASE("whoever stops while claiming unlocks, and one who only follows is done") {
    candidate claiming;
    claiming.opened(start);
    claiming.granted(start, true);
    claiming.leave(term_end::stopped);
    CHECK(claiming.next(start).what == step::unlock);
    candidate following;
    following.opened(start);
    following.leave(term_end::stopped);
    CHECK(following.now_in() == state::over);
}

TEST_CASE("the first cause of an end is the one that is told") {
    candidate c;
    c.lead_since(start);
    c.leave(term_end::preferred);
    c.leave(term_end::resigned);
    c.lost(start + 1ms);
    CHECK(c.cause() == term_end::preferred);
}

TEST_CASE("a leader that the database has refused leads no more") {
    candidate c;
    c.lead_since(start);
    c.superseded();
    CHECK(c.now_in() == state::over);
    CHECK(c.cause() == term_end::fenced_out);
}
