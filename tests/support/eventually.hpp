// Waits for a condition, with a deadline: how tests wait for what others do.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace tenon::tests {

/// True as soon as the condition holds; false when the time is over first, which is there to end what never comes.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::steady_clock::duration within = std::chrono::seconds(120)) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

} // namespace tenon::tests
