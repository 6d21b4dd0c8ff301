#include "waiting.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>

namespace tenon::detail {

class blocking_waiter final : public waiter {
public:
    wait_outcome wait(std::span<pollfd> sockets, clock::time_point until) noexcept override {
        for (;;) {
            int timeout = -1;
            if (until != clock::time_point::max()) {
                const auto now = clock::now();
                const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(until, now) - now).count();
                timeout = static_cast<int>(std::min<std::int64_t>(left, longest_poll));
            }
            const int ready = ::poll(sockets.data(), sockets.size(), timeout);
            if (ready > 0)
                return wait_outcome::ready;
            if (ready < 0 && errno != EINTR)
                return wait_outcome::abandoned;
            if (ready == 0 && timeout < longest_poll)
                return wait_outcome::timed_out;
        }
    }

    wait_outcome sleep(clock::time_point until) noexcept override {
        std::this_thread::sleep_until(until);
        return wait_outcome::timed_out;
    }

    wait_outcome park(parking_place& here, std::unique_lock<std::mutex>& lock, clock::time_point until) override {
        if (until == clock::time_point::max()) {
            here.called_.wait(lock);
            return wait_outcome::ready;
        }
        return here.called_.wait_until(lock, until) == std::cv_status::timeout ? wait_outcome::timed_out
                                                                               : wait_outcome::ready;
    }

    void unpark(parking_place& there) noexcept override { there.called_.notify_all(); }

    void on_helper(std::function<void()> work) noexcept override {
        try {
            std::thread(work).detach();
        } catch (const std::exception&) { // no thread to be had
            work();
        }
    }

private:
    static constexpr int longest_poll = 1'000'000'000; // milliseconds; what lasts longer is waited for in parts
};

waiter& blocking() noexcept {
    // Never destroyed: sessions may be used while statics are.
    static waiter& one = *new blocking_waiter; // NOLINT(cppcoreguidelines-owning-memory)
    return one;
}

} // namespace tenon::detail
