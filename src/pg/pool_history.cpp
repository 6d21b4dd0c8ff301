#include "pool_history.hpp"

namespace tenon::detail {

void pool_history::note_dial(const std::string& failure) {
    const bool failed = !failure.empty();
    if (failed) {
        last_error_ = failure;
        if (!failing_)
            failing_since_ = std::chrono::system_clock::now();
    } else if (failing_)
        began_ = std::chrono::system_clock::now();
    failing_ = failed;
}

void pool_history::note_queue(const counts& now) {
    const bool crowded = now.waiting != 0 && now.open >= now.max_size;
    if (crowded && !crowded_since_)
        crowded_since_ = std::chrono::system_clock::now();
    else if (!crowded && crowded_since_) {
        crowded_since_.reset();
        began_ = std::chrono::system_clock::now();
    }
}

std::string pool_history::remedy() const {
    return failing_ ? "the last session could not be opened: " + last_error_
                    : "hold connections shorter, or raise max_size or acquire_timeout";
}

pool_health pool_history::health(const counts& now) const {
    using enum pool_health::condition;
    if (now.closed)
        return {.state = down, .reason = "the pool was closed", .last_error = last_error_, .since = began_};
    if (failing_ && now.open == 0)
        return {
            .state = down, .reason = "no session can be opened", .last_error = last_error_, .since = failing_since_};
    if (failing_)
        return {.state = degraded,
                .reason = "the last session could not be opened; " + std::to_string(now.open) + " are left",
                .last_error = last_error_,
                .since = failing_since_};
    if (crowded_since_)
        return {.state = degraded,
                .reason = "all " + std::to_string(now.max_size) + " connections are lent, and " +
                          std::to_string(now.waiting) + " wait",
                .last_error = last_error_,
                .since = *crowded_since_};
    return {.state = ready, .last_error = last_error_, .since = began_};
}

} // namespace tenon::detail
