#include "candidate_machine.hpp"

#include <algorithm>

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 10ms;
// A server that ends a session tells its client before it releases the lock; the client may be slow to hear it.
constexpr auto longest_moment = 25ms;
constexpr auto longest_pause = 250ms; // a primary that is back, or another, is found within it

} // namespace

candidate_machine::clock::duration candidate_machine::up_to(clock::duration most) {
    return clock::duration(std::uniform_int_distribution<clock::rep>(0, most.count())(random_));
}

candidate_machine::action candidate_machine::next(time_point now) {
    const auto wait_or = [&](step what) { return now < due_ ? action{step::wait, due_} : action{what, {}}; };
    switch (state_) {
    case state::offline:
        return wait_or(step::open);
    case state::following:
        return wait_or(step::try_lock);
    case state::claiming:
    case state::leading:
    case state::leaving:
    case state::unlocking:
        break;
    case state::over:
        return {step::close};
    }
    if (now >= deadline_) {
        if (state_ == state::claiming)
            lost(now);
        else
            end(term_end::lease_ran_out);
        return {step::close};
    }
    if (state_ == state::claiming && now < due_)
        return {step::wait, due_};
    if (state_ == state::claiming)
        return {blocked_ ? step::end_predecessors : step::bump, deadline_};
    if (state_ == state::leaving && drained_)
        state_ = state::unlocking;
    if (state_ == state::unlocking)
        return {step::unlock, deadline_};
    if (now >= due_)
        return {step::heartbeat, deadline_};
    return {step::wait, std::min(due_, deadline_)};
}

void candidate_machine::opened(time_point now) {
    state_ = state::following;
    due_ = now;
    progressed_ = false;
}

void candidate_machine::open_failed(time_point now) {
    pause_ = std::clamp<clock::duration>(2 * pause_, first_pause, longest_pause);
    due_ = now + up_to(pause_);
    state_ = state::offline;
}

void candidate_machine::refused(time_point now) {
    state_ = state::following;
    progressed();
    // Half of it is jitter: candidates part, and none asks more than twice in a poll.
    due_ = now + times_.poll / 2 + up_to(times_.poll / 2);
}

void candidate_machine::granted(time_point sent, bool in_order) {
    state_ = state::claiming;
    due_ = in_order ? sent : sent + std::min<clock::duration>(times_.poll / 4, longest_moment);
    blocked_ = false;
    trust(sent);
}

void candidate_machine::blocked(time_point sent) {
    blocked_ = true;
    trust(sent);
}

void candidate_machine::predecessors_ended(time_point sent, bool any) {
    blocked_ = false;
    if (!any) // somebody else holds it up: no reason to hurry
        due_ = sent + times_.poll / 2 + up_to(times_.poll / 2);
    trust(sent);
}

void candidate_machine::bumped(time_point sent) {
    state_ = state::leading;
    progressed();
    acknowledged(sent);
}

void candidate_machine::acknowledged(time_point sent) {
    trust(sent);
    due_ = sent + times_.lease / 4;
}

void candidate_machine::vacated(time_point now) {
    if (state_ == state::following)
        due_ = std::min(due_, now + up_to(times_.poll / 4));
}

void candidate_machine::lost(time_point now) {
    if (state_ == state::leading || state_ == state::leaving || state_ == state::unlocking) {
        // A session that ends while we leave anyway is no other cause.
        if (state_ != state::leading)
            end(cause_);
        else
            end(now >= deadline_ ? term_end::lease_ran_out : term_end::session_lost);
        return;
    }
    const bool at_once = progressed_;
    open_failed(now);
    if (!at_once) // the server refuses what we say, not us: as patient as between two tries
        due_ = now + times_.poll / 2 + up_to(times_.poll / 2);
}

void candidate_machine::progressed() noexcept {
    progressed_ = true;
    pause_ = {};
}

void candidate_machine::leave(term_end cause) {
    if (state_ == state::over)
        return;
    if (state_ == state::offline || state_ == state::following)
        end(cause);
    else if (state_ == state::claiming)
        state_ = state::unlocking; // no term has begun
    else if (state_ == state::leading)
        state_ = state::leaving;
    else
        return;
    cause_ = cause;
}

void candidate_machine::drained() {
    drained_ = true;
}

void candidate_machine::unlocked() {
    state_ = state::over;
}

void candidate_machine::superseded() {
    if (state_ != state::over)
        end(term_end::fenced_out);
}

void candidate_machine::end(term_end cause) noexcept {
    cause_ = cause;
    state_ = state::over;
}

} // namespace tenon::detail
