// The pool behind `tenon::pool`: who waits, what is idle, and who has a connection.
//
// State is guarded by one mutex; no I/O happens under it. A returned connection is handed to the first waiter directly,
// so nobody overtakes the queue. The core outlives its pool: the last one to leave it deletes it, be it a connection
// that comes back, a thread that waited, or one of the pool's own.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <tenon/pg/pool.hpp>

#include "pool_crew.hpp"
#include "pool_dialers.hpp"
#include "pool_history.hpp"
#include "pool_idle.hpp"
#include "pool_leases.hpp"
#include "process.hpp"
#include "waiting.hpp"

namespace tenon::detail {

class session;

class pool_core {
public:
    using clock = waiter::clock;

    /// `wanted`: the role that its servers must have, unknown for any.
    pool_core(std::string conninfo, const pool_options& options, host_role wanted);
    pool_core(const pool_core&) = delete;
    pool_core& operator=(const pool_core&) = delete;

    [[nodiscard]] session* lend(std::chrono::milliseconds timeout, caller where);
    void give_back(session* returned) noexcept;
    void warm_up(std::chrono::milliseconds timeout);
    void resize(std::size_t max_size);
    [[nodiscard]] std::size_t close(clock::time_point until);
    [[nodiscard]] pool_status status();
    [[nodiscard]] pool_health health();
    [[nodiscard]] const std::string& conninfo() const noexcept { return conninfo_; }
    [[nodiscard]] const pool_options& options() const noexcept { return options_; }

    /// Keeps the core alive for a thread that is inside of it, though its pool may end meanwhile.
    class visit {
    public:
        explicit visit(pool_core& of) : of_(of), own_(of.mutex_), lock_(own_) {
            ++of_.visitors_;
            own_.unlock();
        }
        /// With the mutex held by `lock`, as it is again in the end.
        visit(pool_core& of, std::unique_lock<std::mutex>& lock) noexcept : of_(of), lock_(lock) { ++of_.visitors_; }
        visit(const visit&) = delete;
        visit& operator=(const visit&) = delete;
        ~visit();

    private:
        pool_core& of_;
        std::unique_lock<std::mutex> own_{};
        std::unique_lock<std::mutex>& lock_;
    };

    /// Throws usage_error in a child of the process that opened the pool.
    void require_own_process() const;

    /// Called once, by the pool's destructor: the core ends, now or when the last one has left it.
    void abandon() noexcept;

private:
    friend class pool_dialers;

    // A thread in the queue; it lives on that thread's stack.
    struct queued {
        parking_place here{};
        session* served = nullptr;
    };

    ~pool_core() = default;

    [[nodiscard]] std::size_t open() const noexcept { return leases_.size() + idle_.size() + checking_; }
    [[nodiscard]] pool_history::counts counts() const noexcept {
        return {.open = open(), .waiting = waiters_.size(), .max_size = max_size_, .closed = closed_};
    }
    [[nodiscard]] bool inherited() const noexcept { return forked_since(process_); }

    /// With the mutex held by `lock`; without it, and without this object, when nobody is left inside.
    void leave(std::unique_lock<std::mutex>& lock) noexcept;

    // Lending; where a lock is given, the mutex is held by it, also in the end.
    [[nodiscard]] session* find(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
                                clock::time_point asked_at);
    [[nodiscard]] session* queue_up(std::unique_lock<std::mutex>& lock, clock::time_point until, bool in_front);
    [[noreturn]] void fail_timeout(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
                                   std::optional<clock::time_point> asked_at = {});
    [[nodiscard]] bool is_fresh(const session& candidate, clock::time_point now) const noexcept;
    [[nodiscard]] bool is_sound(session& candidate, clock::time_point until) const noexcept;
    [[nodiscard]] session* lent(session* to, clock::duration wait) const noexcept;

    // With the mutex held.
    void serve(session* ready); // to the first waiter, or idle
    [[nodiscard]] bool dial_needed() const noexcept;
    [[nodiscard]] std::vector<session*> shut() noexcept; // the idle ones, to be closed

    /// Closes what is idle beyond its time; returns when the next one's time ends.
    [[nodiscard]] clock::time_point retire_idle(std::unique_lock<std::mutex>& lock);

    /// A thread of the pool's own; with the mutex held. Throws when there is none to be had.
    void hire(std::function<void(const std::stop_token&)> work);
    void watch_borrowers(const std::stop_token& stop);

    const std::string conninfo_;
    const pool_options options_; // but for max_size
    const host_role wanted_;
    observer* const observer_;
    const unsigned process_ = process_generation();

    std::mutex mutex_;
    parking_place changed_{}; // a session was opened or came back
    bool awaited_ = false;    // somebody has ever waited for that
    std::size_t max_size_;
    pool_idle idle_;
    pool_leases leases_{};
    std::deque<queued*> waiters_{}; // first come at the front
    std::size_t checking_ = 0;      // taken from idle or just handed over, not lent yet
    std::size_t visitors_ = 0;
    bool closed_ = false;
    bool abandoned_ = false;
    pool_history history_{};
    pool_dialers dialers_{*this};
    pool_crew crew_{mutex_};
};

} // namespace tenon::detail
