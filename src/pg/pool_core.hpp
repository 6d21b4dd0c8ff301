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
#include <optional>
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

    /// `wanted`: the role that its servers must have, unknown for any.
    pool_core(std::string conninfo, const pool_options& options, host_role wanted);

    [[nodiscard]] session* lend(std::chrono::milliseconds timeout, caller where);
    void give_back(session* returned) noexcept;
    void warm_up(std::chrono::milliseconds timeout);
    void resize(std::size_t max_size);
    [[nodiscard]] std::size_t close(std::chrono::milliseconds patience);
    [[nodiscard]] pool_status status();
    [[nodiscard]] pool_health health();
    [[nodiscard]] const std::string& conninfo() const noexcept { return conninfo_; }
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
    void watch_borrowers(const std::stop_token& stop);
    [[nodiscard]] std::size_t open() const noexcept { return lent_.size() + idle_.size() + checking_; }
    [[nodiscard]] bool dial_needed() const noexcept;
    void call_dialer() noexcept;
    void serve(session* ready); // with the mutex held: to the first waiter, or idle
    void register_lease(session* lent, caller where, clock::time_point now);
    void end_lease(session* returned) noexcept;
    [[nodiscard]] bool is_fresh(const session& candidate, clock::time_point now) const noexcept;
    [[nodiscard]] session* lent(session* to, clock::duration wait) const noexcept;
    [[nodiscard]] bool is_sound(session& candidate, clock::time_point now) const noexcept;
    [[nodiscard]] bool expired(const session& of, clock::time_point now) const noexcept;
    [[noreturn]] void fail_timeout(std::chrono::milliseconds timeout);
    void note_dial(const std::string& failure);
    void note_queue();
    [[nodiscard]] std::vector<session*> take_idle(std::size_t keep);

    const std::string conninfo_;
    const pool_options options_; // but for max_size
    const host_role wanted_;
    observer* const observer_;

    std::mutex mutex_;
    std::condition_variable_any dial_wanted_;
    std::condition_variable changed_; // a session was opened or came back
    bool awaited_ = false;            // somebody has ever waited for that
    std::size_t max_size_;
    std::vector<session*> idle_;  // last used at the back
    std::vector<session*> lent_;  // each knows its place here
    std::deque<waiter*> waiters_; // first come at the front
    std::size_t connecting_ = 0;
    std::size_t checking_ = 0; // taken from idle or just handed over, not lent yet
    bool closed_ = false;
    bool abandoned_ = false;

    bool failing_ = false; // the last dial failed
    std::string last_connect_error_;
    std::chrono::system_clock::time_point began_ = std::chrono::system_clock::now();
    std::chrono::system_clock::time_point failing_since_{};
    std::optional<std::chrono::system_clock::time_point> crowded_since_{}; // all lent, and somebody waits
    std::chrono::milliseconds dial_pause_{0};
    clock::time_point next_dial_{};
    std::minstd_rand random_{std::random_device{}()};

    std::vector<std::jthread> dialers_; // last: they use all of the above
    std::jthread watchman_;
};

} // namespace tenon::detail
