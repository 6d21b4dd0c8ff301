// The one seam at which tenon waits.
//
// Invariant: nothing else in src/ polls, sleeps, blocks on a condition variable or starts a thread
// (cmake/check_waits.cmake), so that a front which suspends fibers instead of threads replaces this alone. A wait's end
// is returned, never thrown. Held over none of these: a mutex (but the one that `park` gives up), an exception in
// flight, a thread_local, errno, a view into libpq's buffers.
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>

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

/// Where workers wait for something to do; guarded by the mutex they wait with.
class worker_bell {
public:
    /// Wakes one of them, to look whether its work is due.
    void ring() noexcept { rung_.notify_one(); }

    /// Gives `lock` up until `due()`, which is called with it held. False when the time has come first, or the stop.
    template <class Due>
    [[nodiscard]] bool wait(std::unique_lock<std::mutex>& lock, const std::stop_token& stop,
                            waiter::clock::time_point until, Due due) {
        if (until == waiter::clock::time_point::max())
            return rung_.wait(lock, stop, std::move(due));
        return rung_.wait_until(lock, stop, until, std::move(due));
    }

private:
    std::condition_variable_any rung_{};
};

/// A length of time from now, or from a moment, whatever its size: what lies beyond either end of the clock is its end.
template <class Clock = waiter::clock, class Rep, class Period>
[[nodiscard]] typename Clock::time_point
after(std::chrono::duration<Rep, Period> time,
      std::type_identity_t<typename Clock::time_point> from = Clock::now()) noexcept {
    using time_point = typename Clock::time_point;
    // In floating point nothing overflows, and a millisecond of doubt at three centuries does not matter.
    using longest = std::chrono::duration<double, std::nano>;
    constexpr longest doubt{1e6};
    const longest sum = longest(from.time_since_epoch()) + longest(time);
    if (sum >= longest(time_point::max().time_since_epoch()) - doubt)
        return time_point::max();
    if (sum <= longest(time_point::min().time_since_epoch()) + doubt)
        return time_point::min();
    return from + std::chrono::duration_cast<typename Clock::duration>(time);
}

/// The same length on a clock that counts nanoseconds; what is longer than it can count is the longest.
template <class Rep, class Period>
[[nodiscard]] waiter::clock::duration saturated(std::chrono::duration<Rep, Period> time) noexcept {
    return after(time, waiter::clock::time_point{}).time_since_epoch();
}

/// The deadline of a short statement whose caller waits until `until`: what is left, but a second at least, which is
/// for a server that does not answer at all, and an hour at most.
[[nodiscard]] inline std::chrono::milliseconds time_for_an_answer(waiter::clock::time_point until) noexcept {
    using namespace std::chrono_literals;
    const auto now = waiter::clock::now();
    return std::chrono::ceil<std::chrono::milliseconds>(
        std::clamp<waiter::clock::duration>(std::max(until, now) - now, 1s, 1h));
}

} // namespace tenon::detail
