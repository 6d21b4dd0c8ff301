#include "pool_core.hpp"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "session.hpp"

namespace tenon {

namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_dialers = 2;
constexpr auto first_dial_pause = 10ms;
// Half a second at most between tries: a server that is back is found within a second, whoever waits.
constexpr std::chrono::milliseconds longest_dial_pause = 500ms;
// A session that was used so recently is not looked at again: as much can happen while a statement is on its way.
constexpr auto fresh = 1ms;
constexpr auto ping_patience = 2s;

std::string in_seconds(pool_core::clock::duration time) {
    const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(time).count() / 100;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

} // namespace

pool_core::pool_core(std::string conninfo, const pool_options& options, host_role wanted)
    : conninfo_(std::move(conninfo)),
      options_(options),
      wanted_(wanted),
      observer_(options_.connection.observer.get()),
      max_size_(options.max_size) {
    idle_.reserve(max_size_);
    lent_.reserve(max_size_);
    if (options_.leak_after.count() > 0)
        watchman_ = std::jthread([this](const std::stop_token& stop) { watch_borrowers(stop); });
    const std::lock_guard lock(mutex_);
    call_dialer();
}

pool_core::~pool_core() {
    watchman_ = {};
    dialers_.clear(); // asks them to stop and waits
    for (session* const each : idle_)
        delete each;
}

bool pool_core::is_fresh(const session& candidate, clock::time_point now) const noexcept {
    return now - candidate.lease.returned_at < fresh && candidate.is_open() &&
           (wanted_ == host_role::unknown || candidate.role() == wanted_);
}

session* pool_core::lent(session* to, clock::duration wait) const noexcept {
    to->lease.wait = wait;
    if (observer_ != nullptr)
        observer_->acquired({.pool = options_.name, .wait = wait, .timed_out = false});
    return to;
}

bool pool_core::is_sound(session& candidate, clock::time_point now) const noexcept {
    if (is_fresh(candidate, now))
        return true;
    if (wanted_ != host_role::unknown && candidate.role() != wanted_)
        return false; // promoted since, as it said with its last answer
    const auto idle = now - candidate.lease.returned_at;
    if (!candidate.seems_alive())
        return false;
    return options_.ping_after.count() == 0 || idle < options_.ping_after ||
           candidate.answers_ping(now + ping_patience);
}

void pool_core::register_lease(session* lent, caller where, clock::time_point now) {
    lent->lease.where = where;
    lent->lease.lent_at = now;
    lent->lease.reported = false;
    lent->lease.place = lent_.size();
    lent_.push_back(lent);
}

void pool_core::end_lease(session* returned) noexcept {
    lent_[returned->lease.place] = lent_.back();
    lent_[returned->lease.place]->lease.place = returned->lease.place;
    lent_.pop_back();
}

session* pool_core::lend(std::chrono::milliseconds timeout, caller where) {
    const auto asked_at = clock::now();
    const auto deadline = asked_at + timeout;
    auto now = asked_at;
    bool served_before = false; // a dead session does not cost its borrower the place in the queue
    std::unique_lock lock(mutex_);
    for (;;) {
        if (closed_)
            throw pool_closed("the pool was closed: it lends nothing any more");
        session* candidate = nullptr;
        if ((waiters_.empty() || served_before) && !idle_.empty()) {
            candidate = idle_.back();
            idle_.pop_back();
            if (is_fresh(*candidate, now)) { // the quick way: the mutex is taken once
                register_lease(candidate, where, now);
                lock.unlock();
                return lent(candidate, now - asked_at);
            }
            ++checking_;
        } else {
            waiter self;
            if (served_before)
                waiters_.push_front(&self);
            else
                waiters_.push_back(&self);
            call_dialer();
            note_queue();
            while (self.served == nullptr && !closed_)
                if (self.ready.wait_until(lock, deadline) == std::cv_status::timeout && self.served == nullptr)
                    break;
            if (self.served == nullptr) {
                std::erase(waiters_, &self);
                note_queue();
                if (closed_)
                    continue;
                if (observer_ != nullptr)
                    observer_->acquired({.pool = options_.name, .wait = clock::now() - asked_at, .timed_out = true});
                fail_timeout(timeout);
            }
            candidate = self.served;
            note_queue();
            now = clock::now();
        }
        // An idle session may have died, and so may one that a borrower just gave back.
        lock.unlock();
        if (is_sound(*candidate, now)) {
            lock.lock();
            --checking_;
            register_lease(candidate, where, now);
            lock.unlock();
            return lent(candidate, now - asked_at);
        }
        delete candidate; // the server has hung up: the borrower must not notice
        lock.lock();
        --checking_;
        call_dialer(); // for the one that is gone, where min_size wants it
        served_before = true;
    }
}

void pool_core::give_back(session* returned) noexcept {
    returned->end_lease(options_.reset_on_return);
    const auto now = clock::now();
    const bool sound = returned->is_open() && !returned->lease.unwanted && !expired(*returned, now);
    if (observer_ != nullptr)
        observer_->released({.pool = options_.name, .use = now - returned->lease.lent_at});
    returned->lease.returned_at = now;
    std::unique_lock lock(mutex_);
    end_lease(returned);
    const bool keep = sound && !closed_ && open() < max_size_;
    if (abandoned_) {
        const bool last = lent_.empty() && checking_ == 0;
        lock.unlock();
        delete returned; // closing takes a system call or two: outside the mutex
        if (last)
            delete this;
        return;
    }
    if (keep)
        serve(returned);
    else
        call_dialer();
    if (awaited_)
        changed_.notify_all();
    lock.unlock();
    if (!keep)
        delete returned;
}

void pool_core::serve(session* ready) {
    if (waiters_.empty()) {
        idle_.push_back(ready);
        return;
    }
    waiter* const first = waiters_.front();
    waiters_.pop_front();
    ++checking_;
    first->served = ready;
    first->ready.notify_one();
}

bool pool_core::expired(const session& of, clock::time_point now) const noexcept {
    if (options_.max_lifetime.count() == 0)
        return false;
    // Each session draws its moment from its address, so that those opened together do not end together.
    const auto share = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&of) / 64 % 1000);
    return now - of.opened_at() > options_.max_lifetime - options_.max_lifetime * share / 10'000;
}

bool pool_core::dial_needed() const noexcept {
    const std::size_t missing = options_.min_size > open() ? std::min(options_.min_size, max_size_) - open() : 0;
    return !closed_ && std::max(waiters_.size(), missing) > connecting_ && open() + connecting_ < max_size_;
}

void pool_core::call_dialer() noexcept {
    if (!dial_needed())
        return;
    if (dialers_.size() < most_dialers && dialers_.size() <= connecting_)
        try {
            dialers_.emplace_back([this](const std::stop_token& stop) { dial_while_needed(stop); });
        } catch (const std::exception& caught) { // no thread to be had: waiters go on waiting, and learn why
            note_dial(caught.what());
        }
    dial_wanted_.notify_one();
}

void pool_core::dial_while_needed(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        if (!dial_wanted_.wait(lock, stop, [this] { return dial_needed(); }))
            return;
        if (clock::now() < next_dial_) {
            const auto until = next_dial_; // a copy: the other dialer may change it meanwhile
            (void)dial_wanted_.wait_until(lock, stop, until, [] { return false; });
            continue;
        }
        ++connecting_;
        call_dialer(); // one session is not enough for all: the second dialer joins in
        lock.unlock();
        std::unique_ptr<session> opened;
        std::string failure;
        try {
            opened = std::make_unique<session>(conninfo_, options_.connection, options_.name, wanted_, stop);
            if (options_.after_connect) {
                connection lent(std::unique_ptr<session, connection::closer>(opened.release(), connection::closer{}));
                options_.after_connect(lent);
                opened.reset(lent.session_.release());
                if (opened)
                    opened->end_lease(pool_options::reset::never);
                if (!opened || !opened->is_open()) {
                    opened.reset();
                    failure = "the session did not survive after_connect";
                }
            }
        } catch (const std::exception& caught) {
            opened.reset();
            failure = caught.what();
        }
        lock.lock();
        --connecting_;
        note_dial(failure);
        if (opened && !closed_) {
            opened->lease.returned_at = clock::now();
            dial_pause_ = 0ms;
            serve(opened.release());
            changed_.notify_all();
            continue;
        }
        dial_pause_ = std::clamp<std::chrono::milliseconds>(2 * dial_pause_, first_dial_pause, longest_dial_pause);
        next_dial_ = clock::now() + std::chrono::milliseconds(
                                        std::uniform_int_distribution<std::int64_t>(1, dial_pause_.count())(random_));
    }
}

void pool_core::watch_borrowers(const std::stop_token& stop) {
    std::condition_variable_any tick;
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        (void)tick.wait_for(lock, stop, std::max<std::chrono::milliseconds>(options_.leak_after / 4, 1ms),
                            [] { return false; });
        const auto now = clock::now();
        std::vector<leak_event> late;
        for (session* const each : lent_)
            if (!each->lease.reported && now - each->lease.lent_at > options_.leak_after) {
                each->lease.reported = true;
                late.push_back({.pool = options_.name,
                                .file = each->lease.where.file,
                                .line = each->lease.where.line,
                                .held = now - each->lease.lent_at});
            }
        if (late.empty() || observer_ == nullptr)
            continue;
        lock.unlock();
        for (const leak_event& each : late)
            observer_->leaked(each);
        lock.lock();
    }
}

void pool_core::note_dial(const std::string& failure) {
    const bool failed = !failure.empty();
    if (failed) {
        last_connect_error_ = failure;
        if (!failing_)
            failing_since_ = std::chrono::system_clock::now();
    } else if (failing_)
        began_ = std::chrono::system_clock::now();
    failing_ = failed;
}

void pool_core::note_queue() {
    const bool crowded = !waiters_.empty() && open() >= max_size_;
    if (crowded && !crowded_since_)
        crowded_since_ = std::chrono::system_clock::now();
    else if (!crowded && crowded_since_) {
        crowded_since_.reset();
        began_ = std::chrono::system_clock::now();
    }
}

void pool_core::fail_timeout(std::chrono::milliseconds timeout) {
    std::string text = "no connection within " + std::to_string(timeout.count()) +
                       " ms: " + std::to_string(lent_.size()) + " lent, " + std::to_string(idle_.size()) + " idle, " +
                       std::to_string(connecting_) + " connecting, " + std::to_string(waiters_.size()) +
                       " waiting, max_size " + std::to_string(max_size_);
    if (!lent_.empty()) {
        const lease_record& oldest =
            (*std::ranges::min_element(lent_, {}, [](const session* each) { return each->lease.lent_at; }))->lease;
        text += "; the oldest was lent " + in_seconds(clock::now() - oldest.lent_at) + " ago at " + oldest.where.file +
                ":" + std::to_string(oldest.where.line);
    }
    if (failing_)
        text += "; the last session could not be opened: " + last_connect_error_;
    else
        text += "; hold connections shorter, or raise max_size or acquire_timeout";
    throw pool_timeout(text);
}

void pool_core::warm_up(std::chrono::milliseconds timeout) {
    const auto deadline = clock::now() + timeout;
    std::unique_lock lock(mutex_);
    call_dialer();
    awaited_ = true;
    if (!changed_.wait_until(lock, deadline,
                             [this] { return closed_ || open() >= std::min(options_.min_size, max_size_); }))
        fail_timeout(timeout);
    if (closed_)
        throw pool_closed("the pool was closed while it was warming up");
}

std::vector<session*> pool_core::take_idle(std::size_t keep) {
    std::vector<session*> surplus;
    while (!idle_.empty() && open() > keep) {
        surplus.push_back(idle_.front()); // the one that was used longest ago
        idle_.erase(idle_.begin());
    }
    return surplus;
}

void pool_core::resize(std::size_t max_size) {
    pool_options changed = options_;
    changed.max_size = max_size;
    changed.min_size = std::min(changed.min_size, max_size);
    changed.validate();
    std::unique_lock lock(mutex_);
    max_size_ = max_size;
    idle_.reserve(max_size);
    lent_.reserve(std::max(max_size, lent_.size()));
    const std::vector<session*> surplus = take_idle(max_size);
    call_dialer();
    note_queue();
    lock.unlock();
    for (session* const each : surplus)
        delete each;
}

std::size_t pool_core::close(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    closed_ = true;
    awaited_ = true;
    const std::vector<session*> idle = std::exchange(idle_, {});
    for (waiter* const each : waiters_)
        each->ready.notify_one();
    lock.unlock();
    for (session* const each : idle)
        delete each;
    lock.lock();
    changed_.wait_for(lock, patience, [this] { return lent_.empty() && checking_ == 0; });
    return lent_.size();
}

pool_status pool_core::status() {
    const std::lock_guard lock(mutex_);
    return {.active = lent_.size() + checking_,
            .idle = idle_.size(),
            .connecting = connecting_,
            .waiting = waiters_.size(),
            .max_size = max_size_};
}

pool_health pool_core::health() {
    using enum pool_health::condition;
    const std::lock_guard lock(mutex_);
    const std::string& error = last_connect_error_;
    if (closed_)
        return {.state = down, .reason = "the pool was closed", .last_error = error, .since = began_};
    if (failing_ && open() == 0)
        return {.state = down, .reason = "no session can be opened", .last_error = error, .since = failing_since_};
    if (failing_)
        return {.state = degraded,
                .reason = "the last session could not be opened; " + std::to_string(open()) + " are left",
                .last_error = error,
                .since = failing_since_};
    if (crowded_since_)
        return {.state = degraded,
                .reason = "all " + std::to_string(max_size_) + " connections are lent, and " +
                          std::to_string(waiters_.size()) + " wait",
                .last_error = error,
                .since = *crowded_since_};
    return {.state = ready, .last_error = error, .since = began_};
}

void pool_core::abandon() noexcept {
    std::unique_lock lock(mutex_);
    abandoned_ = true;
    closed_ = true;
    const bool unused = lent_.empty() && checking_ == 0;
    const std::vector<session*> idle = std::exchange(idle_, {});
    lock.unlock();
    for (session* const each : idle)
        delete each;
    if (unused)
        delete this;
}

} // namespace detail
} // namespace tenon
