// What a pool remembers of its troubles: why the last session could not be opened, and since when it is like that;
// since when all connections are lent and somebody waits. Guarded by the pool's mutex.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <tenon/pg/pool.hpp>

namespace tenon::detail {

class pool_history {
public:
    /// What is counted at the moment.
    struct counts {
        std::size_t open;
        std::size_t waiting;
        std::size_t max_size;
        bool closed;
    };

    /// `failure` is empty when the session was opened.
    void note_dial(const std::string& failure);
    void note_queue(const counts& now);

    /// For those who waited in vain.
    [[nodiscard]] std::string remedy() const;
    [[nodiscard]] pool_health health(const counts& now) const;

private:
    using moment = std::chrono::system_clock::time_point;

    bool failing_ = false;
    std::string last_error_{};
    moment began_ = std::chrono::system_clock::now();
    moment failing_since_{};
    std::optional<moment> crowded_since_{};
};

} // namespace tenon::detail
