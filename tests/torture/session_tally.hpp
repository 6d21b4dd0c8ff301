// What the session's checker has found, and who of its threads makes progress. Shared by all of its threads.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace torture {

/// Promises, each with what it is called in the report when broken.
enum class broken : std::uint8_t {
    innocent_ended,
    mislabelled,
    unwanted,
    missing,
    unclean,
    lost,
    unexpected,
};
inline constexpr std::array<std::string_view, 7> broken_names{
    "innocent statements ended",
    "missed deadlines not told as such",
    "transactions that stored what they should not",
    "transactions that lack what they committed",
    "sessions lent with anything open",
    "connections lost without a cause",
    "errors that nothing explains",
};

class tally {
public:
    /// The first few of a kind are printed.
    void note(broken what, const std::string& sentence);

    [[nodiscard]] std::int64_t count(broken what) const { return counts_[static_cast<std::size_t>(what)]; }

    // What has happened, for the report.
    std::atomic<std::int64_t> deadlines_missed{0};
    std::atomic<std::int64_t> cancelled_from_outside{0};
    std::atomic<std::int64_t> left_early{0};
    std::atomic<std::int64_t> given_up{0}; ///< with the cancel request of the transaction's own
    std::atomic<std::int64_t> losses{0};   ///< explained ones
    std::atomic<std::int64_t> outcomes_asked{0};

private:
    std::array<std::atomic<std::int64_t>, broken_names.size()> counts_{};
    std::mutex mutex_{};
};

/// What one thread does now.
class heartbeat {
public:
    explicit heartbeat(std::string name) : name_(std::move(name)) {}

    /// `what` is a literal.
    void doing(const char* what, std::int64_t transaction = 0) noexcept {
        what_.store(what, std::memory_order_relaxed);
        transaction_.store(transaction, std::memory_order_relaxed);
        beats_.fetch_add(1, std::memory_order_relaxed);
    }
    /// Nothing, from now on.
    void rests() noexcept { doing(nullptr); }

private:
    friend class hang_watch;
    std::string name_;
    std::atomic<const char*> what_{nullptr};
    std::atomic<std::int64_t> transaction_{0};
    std::atomic<std::uint64_t> beats_{0};
};

/// Ends the process, with the report of a hang, when a thread that does something makes no progress for a minute.
class hang_watch {
public:
    /// The heartbeats outlive it.
    explicit hang_watch(std::deque<heartbeat>& threads, const char* suite);

private:
    void watch(const std::stop_token& stop, const char* suite);
    std::deque<heartbeat>& threads_;
    std::jthread watcher_; // the last member: the first to end
};

} // namespace torture
