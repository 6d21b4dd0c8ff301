#include "session_tally.hpp"

#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stop_token>

#include "benchmarks/support/report.hpp"

namespace torture {

void tally::note(broken what, const std::string& sentence) {
    constexpr int printed = 8;
    const auto kind = static_cast<std::size_t>(what);
    const std::lock_guard lock(mutex_);
    if (++counts_[kind] <= printed)
        std::cerr << broken_names[kind] << ": " << sentence << '\n';
}

hang_watch::hang_watch(std::deque<heartbeat>& threads, const char* suite)
    : threads_(threads), watcher_([this, suite](const std::stop_token& stop) { watch(stop, suite); }) {}

void hang_watch::watch(const std::stop_token& stop, const char* suite) {
    using clock = std::chrono::steady_clock;
    constexpr auto patience = std::chrono::seconds(60);
    struct seen {
        std::uint64_t beats = 0;
        clock::time_point since = clock::now();
    };
    std::vector<seen> before(threads_.size());
    std::mutex mutex;
    std::condition_variable_any pause;
    int hangs = 0;
    while (!stop.stop_requested() && hangs == 0) {
        std::unique_lock lock(mutex);
        (void)pause.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
        for (std::size_t i = 0; i < before.size(); ++i) {
            const heartbeat& one = threads_[i];
            const std::uint64_t beats = one.beats_.load(std::memory_order_relaxed);
            const char* const what = one.what_.load(std::memory_order_relaxed);
            if (what == nullptr || beats != before[i].beats)
                before[i] = {.beats = beats};
            else if (clock::now() - before[i].since > patience) {
                ++hangs;
                std::cerr << "hang: for a minute, " << one.name_ << " has done nothing but this: " << what;
                if (const std::int64_t number = one.transaction_.load(std::memory_order_relaxed); number != 0)
                    std::cerr << " (transaction " << number << ')';
                std::cerr << '\n';
            }
        }
    }
    if (hangs == 0)
        return;
    bench::report out(suite);
    out.add({.name = "hangs", .value = static_cast<double>(hangs), .unit = "threads", .bar = 0});
    try {
        out.write();
    } catch (const std::exception& failure) {
        std::cerr << failure.what() << '\n';
    }
    std::_Exit(1); // who hangs cannot be joined; the server goes with the process
}

} // namespace torture
