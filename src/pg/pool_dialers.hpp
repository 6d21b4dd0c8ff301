// The threads that open a pool's sessions: two at most, started when first needed, never the borrowers'.
//
// They share one pause after a failure, however many wait. When nothing is to be opened they close what has been idle
// beyond its time. Everything here is guarded by the pool's mutex, which is not held while a session is opened.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>

#include "waiting.hpp"

namespace tenon::detail {

class pool_core;
class session;

class pool_dialers {
public:
    using clock = waiter::clock;

    explicit pool_dialers(pool_core& pool) noexcept : pool_(pool) {}

    /// Wakes one, or starts it, if a session is needed.
    void call() noexcept;
    /// A session is idle whose time ends then.
    void expect_end(clock::time_point at) noexcept;
    [[nodiscard]] std::size_t connecting() const noexcept { return connecting_; }

private:
    void run(const std::stop_token& stop);
    [[nodiscard]] std::unique_ptr<session> open(const std::stop_token& stop, std::string& failure) const;
    void pause() noexcept;

    pool_core& pool_;
    worker_bell called_{};
    std::size_t connecting_ = 0;
    clock::time_point next_end_ = clock::time_point::max(); // of an idle session
    std::chrono::milliseconds longest_pause_{0};
    clock::time_point next_dial_{};
    std::minstd_rand random_{std::random_device{}()};
    std::size_t threads_ = 0;
};

} // namespace tenon::detail
