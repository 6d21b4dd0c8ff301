// A pool's own threads. Hired with the pool's mutex held, and dismissed once, without it.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <stop_token>
#include <vector>

#include "waiting.hpp"

namespace tenon::detail {

class pool_crew {
public:
    /// `mutex` is the pool's.
    explicit pool_crew(std::mutex& mutex) noexcept : mutex_(mutex) {}

    /// Runs `work` on a thread, then `leave`, with the mutex held by the lock that it is given.
    /// Throws when there is no thread to be had.
    void hire(std::function<void(const std::stop_token&)> work,
              std::function<void(std::unique_lock<std::mutex>&)> leave);

    [[nodiscard]] std::size_t at_work() const noexcept { return at_work_; }

    /// Asks all to stop and waits until they have left, for two seconds. Who takes longer, in after_connect or in a
    /// name look-up, is left behind, and goes on to `leave` when it is done.
    void dismiss() noexcept;

private:
    std::mutex& mutex_;
    std::size_t at_work_ = 0;
    parking_place left_{};
    std::vector<worker> workers_{};
};

} // namespace tenon::detail
