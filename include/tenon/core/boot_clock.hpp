// A clock that goes on while the machine sleeps.
#pragma once

#include <chrono>

namespace tenon {

/// CLOCK_BOOTTIME: monotonic, and counts the time the machine was suspended, which std::chrono::steady_clock does not.
/// What a server may have ended meanwhile must not be trusted after waking up.
struct boot_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<boot_clock>;
    static constexpr bool is_steady = true;

    [[nodiscard]] static time_point now() noexcept;
};

} // namespace tenon
