// The sessions that nobody has, and how long a session of the pool's may live. Guarded by the pool's mutex.
//
// The one that was used last is taken first; those at the front see no use when there are more than needed.
#pragma once

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#include "waiting.hpp"

namespace tenon::detail {

class session;

class pool_idle {
public:
    using clock = waiter::clock;

    /// 0: they live for ever.
    explicit pool_idle(std::chrono::milliseconds max_lifetime) noexcept : lifetime_(saturated(max_lifetime)) {}

    /// So many without an allocation.
    void reserve(std::size_t most) { sessions_.reserve(most); }
    [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }
    [[nodiscard]] bool empty() const noexcept { return sessions_.empty(); }

    [[nodiscard]] const session& last() const noexcept { return *sessions_.back(); }
    [[nodiscard]] session* take_last() noexcept {
        session* const last = sessions_.back();
        sessions_.pop_back();
        return last;
    }
    void put(session* free) { sessions_.push_back(free); }

    /// For the caller to close, without the mutex: those used longest ago, those whose time is over, or all.
    [[nodiscard]] std::vector<session*> take_first(std::size_t count);
    [[nodiscard]] std::vector<session*> take_ended(clock::time_point now);
    [[nodiscard]] std::vector<session*> take_all() noexcept { return std::exchange(sessions_, {}); }

    /// When its time is over.
    [[nodiscard]] clock::time_point end_of(const session& one) const noexcept;
    /// Of all.
    [[nodiscard]] clock::time_point next_end() const noexcept;

private:
    clock::duration lifetime_;
    std::vector<session*> sessions_{};
};

} // namespace tenon::detail
