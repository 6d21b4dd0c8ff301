#include "pool_core.hpp"

#include <algorithm>
#include <utility>

#include "session.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

// A session that was used so recently is not looked at again: as much can happen while a statement is on its way.
constexpr auto fresh = 1ms;
// For a sign of life: so long at most, and so long even when the borrower has less time left, or a short timeout would
// drop sessions that are alive.
constexpr auto ping_patience = 2s;
constexpr auto least_ping_patience = 1s;

// Takes a system call or two for each: not under the mutex.
void close_all(const std::vector<session*>& sessions) noexcept {
    for (session* const each : sessions)
        delete each;
}

} // namespace

pool_core::pool_core(std::string conninfo, const pool_options& options, host_role wanted)
    : conninfo_(std::move(conninfo)),
      options_(options),
      wanted_(wanted),
      observer_(options_.connection.observer.get()),
      max_size_(options.max_size),
      idle_(options.max_lifetime) {
    idle_.reserve(max_size_);
    leases_.reserve(max_size_);
    const std::lock_guard lock(mutex_);
    if (options_.leak_after.count() > 0)
        hire([this](const std::stop_token& stop) { watch_borrowers(stop); });
    dialers_.call();
}

pool_core::visit::~visit() {
    if (!lock_.owns_lock())
        lock_.lock();
    --of_.visitors_;
    of_.leave(lock_);
}

void pool_core::leave(std::unique_lock<std::mutex>& lock) noexcept {
    if (!abandoned_ || leases_.size() + checking_ + visitors_ + crew_.at_work() != 0)
        return;
    lock.unlock();
    delete this;
}

void pool_core::require_own_process() const {
    if (inherited())
        throw usage_error(
            "this pool was opened before a fork, by the parent process: open a pool of its own after fork");
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

bool pool_core::is_sound(session& candidate, clock::time_point until) const noexcept {
    const auto now = clock::now();
    if (is_fresh(candidate, now))
        return true;
    if (wanted_ != host_role::unknown && candidate.role() != wanted_)
        return false; // promoted since, as it said with its last answer
    if (now >= idle_.end_of(candidate) || !candidate.seems_alive())
        return false;
    return options_.ping_after.count() == 0 || now - candidate.lease.returned_at < saturated(options_.ping_after) ||
           candidate.answers_ping(std::clamp(until, now + least_ping_patience, now + ping_patience));
}

session* pool_core::lend(std::chrono::milliseconds timeout, caller where) {
    require_own_process();
    const auto asked_at = clock::now();
    std::unique_lock lock(mutex_);
    if (!closed_ && waiters_.empty() && !idle_.empty() && is_fresh(idle_.last(), asked_at)) {
        session* const quick = idle_.take_last(); // the mutex is taken once
        leases_.begin(quick, where, asked_at);
        lock.unlock();
        return lent(quick, {});
    }
    session* found = nullptr;
    auto now = asked_at;
    {
        const visit here(*this, lock);
        found = find(lock, timeout, asked_at);
        --checking_;
        now = clock::now();
        leases_.begin(found, where, now);
    }
    lock.unlock();
    return lent(found, now - asked_at);
}

// Counted as being checked, until it is lent.
session* pool_core::find(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
                         clock::time_point asked_at) {
    const auto until = after(timeout, asked_at);
    // A dead session does not cost its borrower the place in the queue.
    for (bool served_before = false;; served_before = true) {
        session* candidate = nullptr;
        if (closed_)
            throw pool_closed("the pool was closed: it lends nothing any more");
        if (served_before && clock::now() >= until)
            fail_timeout(lock, timeout, asked_at);
        if ((waiters_.empty() || served_before) && !idle_.empty()) {
            candidate = idle_.take_last();
            ++checking_;
        } else {
            candidate = queue_up(lock, until, served_before);
            if (candidate == nullptr && closed_)
                continue;
            if (candidate == nullptr)
                fail_timeout(lock, timeout, asked_at);
        }
        // An idle session may have died, and so may one that a borrower just gave back.
        lock.unlock();
        const bool sound = is_sound(*candidate, until);
        if (!sound)
            delete candidate; // the server has hung up: the borrower must not notice
        lock.lock();
        if (sound)
            return candidate;
        --checking_;
        dialers_.call(); // for the one that is gone, where min_size wants it
        if (awaited_)
            blocking().unpark(changed_);
    }
}

session* pool_core::queue_up(std::unique_lock<std::mutex>& lock, clock::time_point until, bool in_front) {
    queued self;
    if (in_front)
        waiters_.push_front(&self);
    else
        waiters_.push_back(&self);
    dialers_.call();
    history_.note_queue(counts());
    while (self.served == nullptr && !closed_)
        if (blocking().park(self.here, lock, until) != wait_outcome::ready)
            break;
    if (self.served == nullptr)
        std::erase(waiters_, &self);
    history_.note_queue(counts());
    return self.served;
}

void pool_core::give_back(session* returned) noexcept {
    if (inherited()) { // a copy of what the parent has lent
        delete returned;
        return;
    }
    returned->end_lease(options_.reset_on_return);
    const auto now = clock::now();
    const bool sound = returned->is_open() && !returned->lease.unwanted && now < idle_.end_of(*returned);
    if (observer_ != nullptr)
        observer_->released({.pool = options_.name, .use = now - returned->lease.lent_at});
    returned->lease.returned_at = now;
    std::unique_lock lock(mutex_);
    leases_.end(returned);
    const bool keep = sound && !closed_ && open() < max_size_;
    if (keep)
        serve(returned);
    else
        dialers_.call();
    if (awaited_)
        blocking().unpark(changed_);
    if (keep)
        return;
    ++visitors_; // for the core to outlast the session
    lock.unlock();
    delete returned; // closing takes a system call or two: outside the mutex
    lock.lock();
    --visitors_;
    leave(lock);
}

void pool_core::serve(session* ready) {
    if (waiters_.empty()) {
        idle_.put(ready);
        dialers_.expect_end(idle_.end_of(*ready));
        return;
    }
    queued* const first = waiters_.front();
    waiters_.pop_front();
    ++checking_;
    first->served = ready;
    blocking().unpark(first->here);
}

pool_core::clock::time_point pool_core::retire_idle(std::unique_lock<std::mutex>& lock) {
    const std::vector<session*> old = idle_.take_ended(clock::now());
    const auto next = idle_.next_end();
    lock.unlock();
    close_all(old);
    lock.lock();
    return next;
}

bool pool_core::dial_needed() const noexcept {
    const std::size_t missing = options_.min_size > open() ? std::min(options_.min_size, max_size_) - open() : 0;
    return !closed_ && std::max(waiters_.size(), missing) > dialers_.connecting() &&
           open() + dialers_.connecting() < max_size_;
}

void pool_core::hire(std::function<void(const std::stop_token&)> work) {
    crew_.hire(std::move(work), [this](std::unique_lock<std::mutex>& lock) { leave(lock); });
}

void pool_core::watch_borrowers(const std::stop_token& stop) {
    const auto longest = saturated(options_.leak_after);
    worker_bell tick;
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        (void)tick.wait(lock, stop, after(std::max<clock::duration>(longest / 4, 1ms)), [] { return false; });
        const std::vector<leak_event> late = leases_.late(longest, options_.name);
        if (late.empty() || observer_ == nullptr)
            continue;
        lock.unlock();
        for (const leak_event& each : late)
            observer_->leaked(each);
        lock.lock();
    }
}

void pool_core::fail_timeout(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
                             std::optional<clock::time_point> asked_at) {
    std::string text = "no connection within " + std::to_string(timeout.count()) +
                       " ms: " + std::to_string(leases_.size()) + " lent, " + std::to_string(idle_.size()) + " idle, " +
                       std::to_string(dialers_.connecting()) + " connecting, " + std::to_string(waiters_.size()) +
                       " waiting, max_size " + std::to_string(max_size_);
    if (!leases_.empty())
        text += "; " + leases_.oldest();
    text += "; " + history_.remedy();
    lock.unlock();
    if (observer_ != nullptr && asked_at)
        observer_->acquired({.pool = options_.name, .wait = clock::now() - *asked_at, .timed_out = true});
    throw pool_timeout(text);
}

void pool_core::warm_up(std::chrono::milliseconds timeout) {
    require_own_process();
    const auto until = after(timeout);
    std::unique_lock lock(mutex_);
    const visit here(*this, lock);
    dialers_.call();
    awaited_ = true;
    while (!closed_ && open() < std::min(options_.min_size, max_size_))
        if (blocking().park(changed_, lock, until) != wait_outcome::ready &&
            open() < std::min(options_.min_size, max_size_))
            fail_timeout(lock, timeout);
    if (closed_)
        throw pool_closed("the pool was closed while it was warming up");
}

void pool_core::resize(std::size_t max_size) {
    require_own_process();
    pool_options changed = options_;
    changed.max_size = max_size;
    changed.min_size = std::min(changed.min_size, max_size);
    changed.validate();
    std::unique_lock lock(mutex_);
    max_size_ = max_size;
    idle_.reserve(max_size);
    leases_.reserve(max_size);
    const std::vector<session*> surplus = idle_.take_first(open() > max_size ? open() - max_size : 0);
    dialers_.call();
    history_.note_queue(counts());
    lock.unlock();
    close_all(surplus);
}

std::vector<session*> pool_core::shut() noexcept {
    closed_ = true;
    awaited_ = true;
    for (queued* const each : waiters_)
        blocking().unpark(each->here);
    blocking().unpark(changed_);
    return idle_.take_all();
}

std::size_t pool_core::close(clock::time_point until) {
    if (inherited()) // there is nothing of this process's to be closed
        return 0;
    std::unique_lock lock(mutex_);
    const visit here(*this, lock);
    const std::vector<session*> idle = shut();
    lock.unlock();
    close_all(idle);
    lock.lock();
    while (leases_.size() + checking_ != 0 && blocking().park(changed_, lock, until) == wait_outcome::ready) {
    }
    return leases_.size();
}

pool_status pool_core::status() {
    if (inherited())
        return {.active = 0, .idle = 0, .connecting = 0, .waiting = 0, .max_size = options_.max_size};
    const std::lock_guard lock(mutex_);
    return {.active = leases_.size() + checking_,
            .idle = idle_.size(),
            .connecting = dialers_.connecting(),
            .waiting = waiters_.size(),
            .max_size = max_size_};
}

pool_health pool_core::health() {
    if (inherited())
        return {.state = pool_health::condition::down, .reason = "the pool is the parent process's", .since = {}};
    const std::lock_guard lock(mutex_);
    return history_.health(counts());
}

void pool_core::abandon() noexcept {
    if (inherited()) {
        // Its threads are not in this process, and its mutex may be held for ever: it is left as it is, but for this
        // process's copies of the sockets.
        if (const std::unique_lock lock(mutex_, std::try_to_lock); lock.owns_lock())
            close_all(idle_.take_all());
        return;
    }
    std::unique_lock lock(mutex_);
    const visit here(*this, lock);
    abandoned_ = true;
    const std::vector<session*> idle = shut();
    lock.unlock();
    close_all(idle);
    crew_.dismiss();
}

} // namespace tenon::detail
