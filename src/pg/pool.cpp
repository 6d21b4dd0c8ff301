#include <tenon/pg/pool.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#include "dial.hpp"
#include "pool_core.hpp"
#include "session.hpp"

namespace tenon {

namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_dialers = 2;
constexpr auto first_dial_pause = 10ms;
constexpr std::chrono::milliseconds longest_dial_pause = 5s;

} // namespace

pool_core::pool_core(std::string conninfo, const pool_options& options)
    : conninfo_(std::move(conninfo)), options_(options) {
    idle_.reserve(options_.max_size);
}

pool_core::~pool_core() {
    dialers_.clear(); // asks them to stop and waits
    for (session* const each : idle_)
        delete each;
}

session* pool_core::lend(std::chrono::milliseconds timeout) {
    const auto deadline = clock::now() + timeout;
    bool served_before = false; // a dead session does not cost its borrower the place in the queue
    std::unique_lock lock(mutex_);
    for (;;) {
        if ((waiters_.empty() || served_before) && !idle_.empty()) {
            session* const candidate = idle_.back();
            idle_.pop_back();
            ++active_;
            lock.unlock();
            if (candidate->seems_alive())
                return candidate;
            delete candidate; // the server has hung up: the borrower must not notice
            lock.lock();
            --active_;
            served_before = true;
            continue;
        }
        waiter self;
        if (served_before)
            waiters_.push_front(&self);
        else
            waiters_.push_back(&self);
        call_dialer();
        while (self.served == nullptr)
            if (self.ready.wait_until(lock, deadline) == std::cv_status::timeout && self.served == nullptr) {
                std::erase(waiters_, &self);
                fail_timeout(timeout, lock);
            }
        // A connection that a borrower just gave back may have died in between.
        lock.unlock();
        if (self.served->seems_alive())
            return self.served;
        delete self.served;
        lock.lock();
        --active_;
        served_before = true;
    }
}

void pool_core::give_back(session* returned) noexcept {
    returned->end_lease();
    const bool keep = returned->is_open() && !expired(*returned);
    if (!keep)
        delete returned; // closing takes a system call or two: outside the mutex
    std::unique_lock lock(mutex_);
    --active_;
    if (abandoned_) {
        if (keep)
            idle_.push_back(returned); // closed by the last one's destructor, outside the mutex
        const bool last = active_ == 0;
        lock.unlock();
        if (last)
            delete this;
        return;
    }
    if (keep)
        serve(returned);
    else
        call_dialer();
}

void pool_core::serve(session* ready) {
    if (waiters_.empty()) {
        idle_.push_back(ready);
        return;
    }
    waiter* const first = waiters_.front();
    waiters_.pop_front();
    ++active_;
    first->served = ready;
    first->ready.notify_one();
}

bool pool_core::expired(const session& of) noexcept {
    if (options_.max_lifetime.count() == 0)
        return false;
    // Each session draws its moment from its address, so that those opened together do not end together.
    const auto share = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&of) / 64 % 1000);
    return clock::now() - of.opened_at() > options_.max_lifetime - options_.max_lifetime * share / 10'000;
}

bool pool_core::dial_needed() const noexcept {
    return waiters_.size() > connecting_ && active_ + idle_.size() + connecting_ < options_.max_size;
}

void pool_core::call_dialer() noexcept {
    if (!dial_needed())
        return;
    if (dialers_.size() < most_dialers && dialers_.size() <= connecting_)
        try {
            dialers_.emplace_back([this](const std::stop_token& stop) { dial_while_needed(stop); });
        } catch (const std::exception& caught) { // no thread to be had: waiters go on waiting, and learn why
            last_connect_error_ = caught.what();
        }
    dial_wanted_.notify_one();
}

void pool_core::dial_while_needed(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        if (!dial_wanted_.wait(lock, stop, [this] { return dial_needed(); }))
            return;
        if (clock::now() < next_dial_) {
            (void)dial_wanted_.wait_until(lock, stop, next_dial_, [] { return false; });
            continue;
        }
        ++connecting_;
        lock.unlock();
        std::unique_ptr<session> opened;
        std::string failure;
        try {
            opened = std::make_unique<session>(conninfo_, options_.connection);
        } catch (const std::exception& caught) {
            failure = caught.what();
        }
        lock.lock();
        --connecting_;
        if (opened) {
            dial_pause_ = 0ms;
            last_connect_error_.clear();
            serve(opened.release());
            continue;
        }
        last_connect_error_ = failure;
        dial_pause_ = std::clamp<std::chrono::milliseconds>(2 * dial_pause_, first_dial_pause, longest_dial_pause);
        next_dial_ = clock::now() + std::chrono::milliseconds(
                                        std::uniform_int_distribution<std::int64_t>(1, dial_pause_.count())(random_));
    }
}

void pool_core::fail_timeout(std::chrono::milliseconds timeout, const std::unique_lock<std::mutex>&) {
    throw pool_timeout(
        "no connection within " + std::to_string(timeout.count()) + " ms: " + std::to_string(active_) + " lent, " +
        std::to_string(idle_.size()) + " idle, " + std::to_string(connecting_) + " connecting, " +
        std::to_string(waiters_.size()) + " waiting, max_size " + std::to_string(options_.max_size) +
        (last_connect_error_.empty() ? "; hold connections shorter, or raise max_size or acquire_timeout"
                                     : "; the last session could not be opened: " + last_connect_error_));
}

pool_status pool_core::status() {
    const std::lock_guard lock(mutex_);
    return {.active = active_, .idle = idle_.size(), .connecting = connecting_, .waiting = waiters_.size()};
}

void pool_core::abandon() noexcept {
    std::unique_lock lock(mutex_);
    abandoned_ = true;
    const bool unused = active_ == 0;
    const std::vector<session*> idle = std::exchange(idle_, {});
    lock.unlock();
    for (session* const each : idle)
        delete each;
    if (unused)
        delete this;
}

} // namespace detail

void pool_options::validate() const {
    if (max_size < 1 || max_size > 10'000)
        throw usage_error("pool_options::max_size must be 1 to 10,000");
    if (acquire_timeout.count() <= 0)
        throw usage_error("pool_options::acquire_timeout must be more than 0");
    if (max_lifetime.count() < 0)
        throw usage_error("pool_options::max_lifetime must not be negative; 0 keeps sessions for ever");
    connection.validate();
}

pool::pool(std::string_view conninfo, const pool_options& options) : core_(nullptr) {
    options.validate();
    std::string text(conninfo);
    (void)detail::validate_conninfo(text, options.connection.connect_timeout);
    core_ = new detail::pool_core(std::move(text), options);
}

pool::~pool() {
    core_->abandon();
}

connection pool::acquire() {
    return acquire(core_->options().acquire_timeout);
}

connection pool::acquire(std::chrono::milliseconds timeout) {
    return connection(
        std::unique_ptr<detail::session, connection::closer>(core_->lend(timeout), connection::closer{core_}));
}

pool_status pool::status() const {
    return core_->status();
}

} // namespace tenon
