#include "pool_crew.hpp"

#include <utility>

namespace tenon::detail {

namespace {

constexpr auto patience = std::chrono::seconds(2);

} // namespace

void pool_crew::hire(std::function<void(const std::stop_token&)> work,
                     std::function<void(std::unique_lock<std::mutex>&)> leave) {
    workers_.emplace_back([this, work = std::move(work), leave = std::move(leave)](const std::stop_token& stop) {
        work(stop);
        std::unique_lock lock(mutex_);
        --at_work_;
        blocking().unpark(left_);
        leave(lock); // may end the pool, and this object with it
    });
    ++at_work_;
}

void pool_crew::dismiss() noexcept {
    for (worker& each : workers_) // no more are hired
        (void)each.request_stop();
    std::unique_lock lock(mutex_);
    const auto until = after(patience);
    while (at_work_ != 0 && blocking().park(left_, lock, until) == wait_outcome::ready) {
    }
    const bool all_left = at_work_ == 0;
    lock.unlock();
    for (worker& each : workers_)
        if (all_left)
            each.join();
        else
            each.detach();
    workers_.clear();
}

} // namespace tenon::detail
