#include "candidacy.hpp"

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>

#include "election_sql.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

template <class Number>
Number number_in(const std::string& text) {
    Number number{};
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::string in_words(boot_clock::duration time) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    return ms < 10'000 ? std::to_string(ms) + " ms" : std::to_string(ms / 1000) + " s";
}

const char* in_words(term_end cause) {
    switch (cause) {
    case term_end::resigned:
        return "it resigned";
    case term_end::stopped:
        return "it was stopped";
    case term_end::preferred:
        return "another candidate was asked for";
    case term_end::excluded:
        return "it was excluded";
    case term_end::session_lost:
        return "its session was lost";
    case term_end::lease_ran_out:
        return "its lease ran out";
    case term_end::fenced_out:
        return "another term has begun";
    }
    return "";
}

} // namespace

dedicated_options election_settings::session_options(const std::string& purpose) const {
    return {.conninfo = how.conninfo,
            .application_name = (purpose + name).substr(0, 63),
            .lease = how.lease,
            .connect_timeout = std::clamp<std::chrono::milliseconds>(how.lease, 500ms, 10s),
            .lock_timeout = how.grace};
}

void election_settings::say(const std::string& text) const noexcept {
    if (!how.log)
        return;
    try {
        how.log("election " + name + (how.region.empty() ? "" : " in " + how.region) + ": " + how.candidate + " " +
                text);
    } catch (...) {
        return; // a log that fails is no reason to stop leading
    }
}

candidacy::candidacy(std::shared_ptr<election_settings> of)
    : shared_(std::move(of)),
      settings_(*shared_),
      session_(settings_.session_options("tenon election ")),
      machine_({.lease = settings_.how.lease, .margin = settings_.how.margin, .poll = settings_.how.poll},
               std::random_device{}()) {
    if (settings_.busy.exchange(true))
        throw usage_error("election " + settings_.name +
                          ": it campaigns or leads already; one object has one term at a time");
}

candidacy::~candidacy() {
    on_stop_.reset(); // waits for one that is under way elsewhere
    set_free();
}

// The election may campaign again.
void candidacy::set_free() noexcept {
    if (holds_election_.exchange(false))
        settings_.busy = false;
}

void candidacy::part() noexcept {
    if (forked_since(process_)) { // a child's copy: the keeper, which holds on to this object, is not in this process
        static_cast<void>(new worker(std::move(keeper_))); // NOLINT(cppcoreguidelines-owning-memory): nothing to join
        return;
    }
    resign();
    if (!keeper_.joinable())
        return;
    if (keeper_.get_id() == std::this_thread::get_id())
        keeper_.detach(); // it holds on to this object until it has ended
    else
        keeper_.join();
}

bool candidacy::win(const std::stop_token& stop) {
    on_stop_.emplace(stop, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) // and keeps it until it is done: its callbacks may drop the leadership
            self->request_leave(term_end::stopped);
    });
    settings_.say("campaigns");
    while (machine_.now_in() != candidate_machine::state::leading)
        if (!step(stop)) {
            finished_ = true;
            return false;
        }
    keeper_ = worker([self = shared_from_this()] { self->keep(); });
    return true;
}

void candidacy::keep() noexcept {
    try {
        while (step({})) {
        }
    } catch (...) { // nothing that can be gone on with, such as a lock that failed
        leaving_ = true;
        (void)over_.request_stop();
    }
    session_.close();
    {
        const std::lock_guard lock(mutex_);
        finished_ = true;
        blocking().unpark(ended_);
    }
    set_free();
    end_term();
}

// What no waiting mends is the caller's to know.
bool candidacy::is_hopeless(const error& failure) const {
    const std::string_view state = failure.sqlstate();
    const bool misnamed = state == "28P01" || state == "28000" || state == "3D000"; // password, role, database
    return dynamic_cast<const session_not_dedicated*>(&failure) != nullptr ||
           dynamic_cast<const schema_mismatch*>(&failure) != nullptr || state == sqlstate::insufficient_privilege ||
           (misnamed && !was_open_);
}

// Once, until it changes.
void candidacy::say_failure(const std::string& what) {
    if (std::exchange(last_failure_, what) != what)
        settings_.say("tries again: " + what);
}

bool candidacy::step(const std::stop_token& stop) {
    heed_requests();
    const candidate_machine::action next = machine_.next(clock::now());
    const bool leads = token_.term != 0;
    const auto fail = [&](const char* what) {
        session_.close();
        machine_.lost(clock::now());
        if (!leads)
            say_failure(what);
    };
    try {
        perform(next, stop);
    } catch (const error& failure) {
        fail(failure.what());
        if (!leads && is_hopeless(failure))
            throw;
    } catch (const std::exception& failure) { // no memory, no descriptors
        fail(failure.what());
    }
    after_step();
    return machine_.now_in() != candidate_machine::state::over;
}

void candidacy::perform(const candidate_machine::action& next, const std::stop_token& stop) {
    using enum candidate_machine::step;
    switch (next.what) {
    case open:
        return this->open(stop);
    case wait: {
        auto until = next.until;
        {
            const std::lock_guard lock(mutex_);
            if (wanted_end_)
                until = std::min(until, drain_until_);
        }
        switch (session_.wait(until)) {
        case dedicated_session::event::lost:
            return machine_.lost(clock::now());
        case dedicated_session::event::notified:
            return heed_notifications();
        default:
            return;
        }
    }
    case candidate_machine::step::try_lock:
        return this->try_lock();
    case candidate_machine::step::bump:
        return this->bump(next.until);
    case candidate_machine::step::end_predecessors:
        return this->end_predecessors(next.until);
    case candidate_machine::step::heartbeat:
        return this->heartbeat(next.until);
    case unlock:
        return this->unlock(next.until);
    case close:
        return session_.close();
    }
}

dedicated_session::row candidacy::say_hello(clock::time_point until) {
    try {
        return session_.ask(election_sql::hello, {settings_.how.region, settings_.name, settings_.how.candidate}, until)
            .at(0);
    } catch (const error& failure) {
        // No such schema, function or table.
        if (failure.sqlstate() == "3F000" || failure.sqlstate() == "42883" || failure.sqlstate() == "42P01")
            throw schema_mismatch("election " + settings_.name +
                                      ": its tables are missing in this database: call tenon::install once",
                                  {.sqlstate = std::string(failure.sqlstate())});
        throw;
    }
}

void candidacy::open(const std::stop_token& stop) {
    try {
        session_.open(stop);
        const auto until = clock::now() + settings_.how.lease;
        (void)session_.ask(("listen " + settings_.channel).c_str(), {},
                           until); // before the first try: nothing is missed
        const auto hello = say_hello(until);
        const auto timeline = number_in<std::int32_t>(hello.at(0));
        if (timeline < settings_.newest_timeline)
            throw connection_failed("cannot connect: the server is on timeline " + std::to_string(timeline) +
                                    ", another has been promoted to " +
                                    std::to_string(settings_.newest_timeline.load()));
        settings_.newest_timeline = timeline;
    } catch (const connection_failed& failure) {
        if (is_hopeless(failure))
            throw;
        session_.close();
        machine_.open_failed(clock::now());
        say_failure(failure.what());
        return;
    }
    was_open_ = true;
    machine_.opened(clock::now());
}

void candidacy::try_lock() {
    const auto sent = clock::now();
    const auto answer =
        session_.ask(election_sql::try_lock, {settings_.how.region, settings_.name, settings_.how.candidate},
                     sent + settings_.how.lease);
    if (answer.at(0).at(1) == "granted")
        machine_.granted(sent, answer.at(0).at(0) == "t");
    else
        machine_.refused(clock::now());
    last_failure_.clear();
}

void candidacy::bump(clock::time_point until) {
    const auto sent = clock::now();
    try {
        const auto rows =
            session_.ask(election_sql::bump,
                         {settings_.how.region, settings_.name, settings_.how.candidate, settings_.channel}, until);
        machine_.bumped(sent);
        begin_term(rows.at(0));
    } catch (const error& failure) {
        if (failure.sqlstate() != sqlstate::lock_not_available)
            throw;
        machine_.blocked(sent);
    }
}

void candidacy::end_predecessors(clock::time_point until) {
    const auto sent = clock::now();
    bool any = false;
    try {
        const auto rows = session_.ask(election_sql::end_predecessors, {settings_.how.region, settings_.name}, until);
        any = rows.at(0).at(0) != "0";
        if (any)
            settings_.say("ended " + rows.at(0).at(0) + " transaction(s) of the term before");
    } catch (const error& failure) {
        if (failure.sqlstate() != sqlstate::insufficient_privilege)
            throw;
        if (std::exchange(last_failure_, failure.what()) != failure.what())
            settings_.say(std::string("waits for transactions of the term before, which it may not end: ") +
                          failure.what());
    }
    machine_.predecessors_ended(sent, any);
}

void candidacy::heartbeat(clock::time_point until) {
    const auto sent = clock::now();
    const auto rows = session_.ask(election_sql::heartbeat, {settings_.how.region, settings_.name}, until);
    const auto answered = clock::now();
    const auto margin = deadline() - answered;
    machine_.acknowledged(sent);
    if (settings_.told != nullptr)
        settings_.told->heartbeat({.election = settings_.name,
                                   .region = settings_.how.region,
                                   .round_trip = answered - sent,
                                   .margin = margin,
                                   .candidates = number_in<int>(rows.at(0).at(0))});
}

void candidacy::unlock(clock::time_point until) {
    const std::string& region = settings_.how.region;
    try {
        if (token_.term != 0)
            (void)session_.ask(election_sql::resign, {region, settings_.name, token_.id.to_string()}, until);
    } catch (const error&) { // only spares the successor a moment
        if (!session_.is_open())
            throw;
    }
    (void)session_.ask(election_sql::unlock, {region, settings_.name, settings_.channel}, until);
    machine_.unlocked();
}

void candidacy::heed_notifications() {
    for (const std::string& payload : session_.take_notifications()) {
        const auto names_us = [&](std::string_view wish) {
            return payload.size() > wish.size() && payload.substr(wish.size()) == settings_.how.candidate;
        };
        const bool leads = machine_.now_in() == candidate_machine::state::leading;
        const bool claims = machine_.now_in() == candidate_machine::state::claiming;
        const bool unwanted = (payload.starts_with(election_sql::preferred) && !names_us(election_sql::preferred)) ||
                              (payload.starts_with(election_sql::excluded) && names_us(election_sql::excluded));
        if (payload == election_sql::resigned)
            machine_.vacated(clock::now());
        else if (unwanted && leads)
            request_leave(payload.starts_with(election_sql::preferred) ? term_end::preferred : term_end::excluded);
        else if (unwanted && claims) { // the lock goes back, and the next try is told why it gets none
            session_.close();
            machine_.lost(clock::now());
        }
    }
}

void candidacy::heed_requests() {
    const std::lock_guard lock(mutex_);
    if (superseded_)
        machine_.superseded();
    if (wanted_end_) {
        machine_.leave(*wanted_end_);
        if (under_way_ == 0 || clock::now() >= drain_until_)
            machine_.drained();
    }
}

void candidacy::after_step() {
    if (token_.term == 0)
        return;
    const auto state = machine_.now_in();
    if (state == candidate_machine::state::leading)
        deadline_.store(machine_.deadline().time_since_epoch().count(), std::memory_order_release);
    if (state == candidate_machine::state::over) {
        leaving_.store(true, std::memory_order_release);
        (void)over_.request_stop();
    }
}

void candidacy::begin_term(const dedicated_session::row& term) {
    token_ = {.timeline = number_in<std::int32_t>(term.at(0)),
              .term = number_in<std::int64_t>(term.at(1)),
              .id = uuid::parse(term.at(2)).value_or(uuid{})};
    fence_texts_ = {settings_.how.region, settings_.name, term.at(1), term.at(2),
                    std::to_string(settings_.how.lease.count()) + "ms"};
    std::ranges::transform(fence_texts_, fence_values_.begin(), &std::string::c_str);
    fence_ = {.sql = election_sql::fence, .values = fence_values_};
    elected_at_ = clock::now();
    settings_.say("leads, term " + term.at(1) + " on timeline " + term.at(0) + ", after " +
                  in_words(elected_at_ - began_));
    if (settings_.told != nullptr)
        settings_.told->elected({.election = settings_.name,
                                 .region = settings_.how.region,
                                 .candidate = settings_.how.candidate,
                                 .timeline = token_.timeline,
                                 .term = token_.term,
                                 .campaign = elected_at_ - began_});
    if (settings_.how.on_elected)
        try {
            settings_.how.on_elected(token_);
        } catch (...) {
            return; // the callback's own affair
        }
}

void candidacy::end_term() noexcept {
    const auto held = clock::now() - elected_at_;
    const std::string& reason = session_.last_words();
    try {
        settings_.say("leads no more after " + in_words(held) + ": " + in_words(machine_.cause()) +
                      (reason.empty() ? "" : " (" + reason + ")"));
        if (settings_.told != nullptr)
            settings_.told->deposed({.election = settings_.name,
                                     .region = settings_.how.region,
                                     .candidate = settings_.how.candidate,
                                     .term = token_.term,
                                     .cause = machine_.cause(),
                                     .reason = reason,
                                     .held = held});
        if (settings_.how.on_lost)
            settings_.how.on_lost(token_, machine_.cause());
    } catch (...) {
        return; // the callback's own affair
    }
}

void candidacy::request_leave(term_end cause) noexcept {
    if (forked_since(process_)) // the parent's term goes on
        return;
    leaving_.store(true, std::memory_order_release);
    {
        const std::lock_guard lock(mutex_);
        if (!wanted_end_) {
            wanted_end_ = cause;
            drain_until_ = after<clock>(settings_.how.drain);
        }
    }
    (void)over_.request_stop();
    if (deadline_ == 0)
        session_.abandon(); // no term to hand over: nothing is waited for
    else
        session_.wake();
}

void candidacy::resign() noexcept {
    if (forked_since(process_))
        return;
    request_leave(term_end::resigned);
    std::unique_lock lock(mutex_);
    if (keeper_.joinable() && keeper_.get_id() != std::this_thread::get_id()) // not by a callback of the stop token
        while (!finished_)                                                    // the lease bounds what the keeper does
            (void)blocking().park(ended_, lock, waiter::clock::time_point::max());
}

void candidacy::enter() {
    if (!held()) // in a child of the leader's process the mutex may be held for ever
        throw_over();
    const std::lock_guard lock(mutex_);
    if (!held())
        throw_over();
    ++under_way_;
}

void candidacy::leave_section() noexcept {
    if (forked_since(process_))
        return;
    const std::lock_guard lock(mutex_);
    if (--under_way_ == 0 && wanted_end_)
        session_.wake();
}

void candidacy::throw_over() const {
    throw fenced_out("election " + settings_.name + ": term " + std::to_string(token_.term) +
                     " is over for this process: stop, and campaign again");
}

void candidacy::fence(transaction& tx) const {
    if (!held())
        throw_over();
    lead_with(tx, fence_);
}

void candidacy::note_rejection(const fenced_out& refused) noexcept {
    if (settings_.told != nullptr)
        settings_.told->fenced({.election = settings_.name, .region = settings_.how.region, .term = token_.term});
    if (refused.statement() != election_sql::fence) // our own finding, or a fence of somebody else's
        return;
    {
        const std::lock_guard lock(mutex_);
        superseded_ = true;
    }
    session_.wake();
}

} // namespace tenon::detail
