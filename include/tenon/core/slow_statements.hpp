// Statements that took too long, told one by one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <tenon/core/observer.hpp>

namespace tenon {

/// An observer that calls a function for each statement that took at least `threshold`, failed or not: its operation
/// and collection, duration, the wait for its connection, rows, and the server's role are in the event, never a
/// parameter value. Everything is passed on to the `next` observer, if there is one.
///
///     options.connection.observer = std::make_shared<tenon::slow_statements>(500ms, [](const auto& slow) {
///         std::clog << slow.operation << ' ' << slow.collection << " took " << slow.duration.count() / 1000 << "
///         us\n";
///     });
class slow_statements final : public observer {
public:
    using callback = std::function<void(const statement_event&)>;

    /// `told` is called on the thread of the statement; what it throws is dropped.
    slow_statements(std::chrono::nanoseconds threshold, callback told, std::shared_ptr<observer> next = {})
        : threshold_(threshold), told_(std::move(told)), next_(std::move(next)) {}

    void acquired(const acquire_event& event) noexcept override {
        if (next_)
            next_->acquired(event);
    }
    void released(const release_event& event) noexcept override {
        if (next_)
            next_->released(event);
    }
    void connected(const connect_event& event) noexcept override {
        if (next_)
            next_->connected(event);
    }
    void executed(const statement_event& event) noexcept override {
        if (event.duration >= threshold_)
            try {
                told_(event);
            } catch (...) { // NOLINT(bugprone-empty-catch): as promised above
            }
        if (next_)
            next_->executed(event);
    }
    void ended(const transaction_event& event) noexcept override {
        if (next_)
            next_->ended(event);
    }
    void retried(const retry_event& event) noexcept override {
        if (next_)
            next_->retried(event);
    }
    void leaked(const leak_event& event) noexcept override {
        if (next_)
            next_->leaked(event);
    }
    void elected(const elected_event& event) noexcept override {
        if (next_)
            next_->elected(event);
    }
    void deposed(const deposed_event& event) noexcept override {
        if (next_)
            next_->deposed(event);
    }
    void heartbeat(const heartbeat_event& event) noexcept override {
        if (next_)
            next_->heartbeat(event);
    }
    void fenced(const fence_event& event) noexcept override {
        if (next_)
            next_->fenced(event);
    }

private:
    std::chrono::nanoseconds threshold_;
    callback told_;
    std::shared_ptr<observer> next_;
};

} // namespace tenon
