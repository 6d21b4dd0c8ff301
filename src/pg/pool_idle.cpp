#include "pool_idle.hpp"

#include <algorithm>
#include <cstdint>

#include "session.hpp"

namespace tenon::detail {

std::vector<session*> pool_idle::take_first(std::size_t count) {
    const auto end = sessions_.begin() + static_cast<std::ptrdiff_t>(std::min(count, sessions_.size()));
    std::vector<session*> taken(sessions_.begin(), end);
    sessions_.erase(sessions_.begin(), end);
    return taken;
}

std::vector<session*> pool_idle::take_ended(clock::time_point now) {
    const auto ended = std::stable_partition(sessions_.begin(), sessions_.end(),
                                             [&](const session* each) { return end_of(*each) > now; });
    std::vector<session*> taken(ended, sessions_.end());
    sessions_.erase(ended, sessions_.end());
    return taken;
}

pool_idle::clock::time_point pool_idle::end_of(const session& one) const noexcept {
    if (lifetime_.count() == 0)
        return clock::time_point::max();
    // Each session draws its moment from its address, so that those opened together do not end together.
    const auto share = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&one) / 64 % 1000);
    return after(lifetime_ - lifetime_ / 10'000 * share, one.opened_at());
}

pool_idle::clock::time_point pool_idle::next_end() const noexcept {
    auto next = clock::time_point::max();
    for (const session* const each : sessions_)
        next = std::min(next, end_of(*each));
    return next;
}

} // namespace tenon::detail
