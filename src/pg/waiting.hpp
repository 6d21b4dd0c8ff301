// The one seam at which tenon waits.
//
// Invariant: nothing else in src/ polls, sleeps, blocks on a condition variable or starts a thread
// (cmake/check_waits.cmake), so that a front which suspends fibers instead of threads replaces this alone. A wait's end
// is returned, never thrown. Held over none of these: a mutex (but the one that `park` gives up), an exception in
// flight, a thread_local, errno, a view into libpq's buffers.
#pragma once

#include <poll.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <thread>

namespace tenon::detail {

enum class wait_outcome {
    ready,     ///< what was waited for is there
    timed_out, ///< the time is over
    cancelled, ///< the caller's operation was cancelled from outside
    abandoned  ///< nothing can be waited for here any more: give up
};

/// Where one caller waits for another thread's `unpark`; guarded by the mutex it is parked with.
class parking_place {
    friend class blocking_waiter;
    std::condition_variable called_{};
};

/// The four verbs. One object serves many callers at once.
class waiter {
public:
    using clock = std::chrono::steady_clock;

    waiter() = default;
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;
    virtual ~waiter() = default;

    /// Until one of `sockets` is ready for its `events` (poll's; `revents` tells which); a negative descriptor is left
    /// out. A time that has passed looks once and does not wait.
    [[nodiscard]] virtual wait_outcome wait(std::span<pollfd> sockets, clock::time_point until) noexcept = 0;
    [[nodiscard]] wait_outcome wait(int socket, short events, clock::time_point until) noexcept {
        pollfd one{.fd = socket, .events = events, .revents = 0};
        return wait({&one, 1}, until);
    }

    /// `timed_out` when the time has come.
    virtual wait_outcome sleep(clock::time_point until) noexcept = 0;

    /// Gives `lock` up until `unpark` or the time; it is held again afterwards. May be `ready` without a call: look at
    /// what is waited for.
    [[nodiscard]] virtual wait_outcome park(parking_place& here, std::unique_lock<std::mutex>& lock,
                                            clock::time_point until) = 0;
    virtual void unpark(parking_place& there) noexcept = 0;

    /// Runs what blocks without a limit of its own on another thread, and does not wait for it; where there is no
    /// thread to be had, here and now. `work` owns all it uses, and throws nothing.
    virtual void on_helper(std::function<void()> work) noexcept = 0;
};

/// Waits by blocking the calling thread; never ends.
[[nodiscard]] waiter& blocking() noexcept;

/// Threads of tenon's own, which may block: dialers and keepers.
using worker = std::jthread;
/// Where a worker waits, ended by its stop token.
using worker_bell = std::condition_variable_any;

/// Now and a length of time, whatever its size: what lies beyond the clock's end is its end.
template <class Rep, class Period>
[[nodiscard]] waiter::clock::time_point after(std::chrono::duration<Rep, Period> time,
                                              waiter::clock::time_point from = waiter::clock::now()) noexcept {
    using longest = std::chrono::duration<double, std::nano>;
    // In floating point neither side overflows; a microsecond of doubt at three centuries does not matter.
    if (longest(time) >= longest(waiter::clock::time_point::max() - from) - longest(1e6))
        return waiter::clock::time_point::max();
    return from + std::chrono::duration_cast<waiter::clock::duration>(time);
}

} // namespace tenon::detail
