// The pool behind `tenon::pool`: who waits, what is idle, and who may dial.
//
// State is guarded by one mutex; no I/O happens under it. A returned connection is handed to the first
// waiter directly, so nobody overtakes the queue. Dialling is done by at most two threads of the pool's own,
// started when first needed, never by the borrowers: whichever connection is ready first serves the first.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <tenon/pg/pool.hpp>

namespace tenon::detail {

class session;

class pool_core {
public:
    using clock = std::chrono::steady_clock;

    pool_core(std::string conninfo, const pool_options& options);

    [[nodiscard]] session* lend(std::chrono::milliseconds timeout);
    void give_back(session* returned) noexcept;
    [[nodiscard]] pool_status status();
    [[nodiscard]] const pool_options& options() const noexcept { return options_; }

    /// Called once, by the pool's destructor: deletes the core, now or when the last connection comes back.
    void abandon() noexcept;

private:
    struct waiter {
        std::condition_variable ready{};
        session* served = nullptr;
    };

    ~pool_core();

    void dial_while_needed(const std::stop_token& stop);
    [[nodiscard]] bool dial_needed() const noexcept;
    void call_dialer() noexcept;
    void serve(session* ready); // with the mutex held: to the first waiter, or idle
    [[nodiscard]] bool expired(const session& of) noexcept;
    [[noreturn]] void fail_timeout(std::chrono::milliseconds timeout, const std::unique_lock<std::mutex>& held);

    const std::string conninfo_;
    const pool_options options_;

    std::mutex mutex_;
    std::condition_variable_any dial_wanted_;
    std::vector<session*> idle_;  // last used at the back
    std::deque<waiter*> waiters_; // first come at the front
    std::size_t active_ = 0;
    std::size_t connecting_ = 0;
    bool abandoned_ = false;

    std::string last_connect_error_;
    std::chrono::milliseconds dial_pause_{0};
    clock::time_point next_dial_{};
    std::minstd_rand random_{std::random_device{}()};

    std::vector<std::jthread> dialers_; // last: they use all of the above
};

} // namespace tenon::detail
