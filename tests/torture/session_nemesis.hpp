// What happens to the sessions of the checker's pool from outside: backends that are ended, a network that delays,
// answers to COMMIT that get lost, and cancel requests that come late.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include <tenon/tenon.hpp>
#include <tenon/testing/gate.hpp>

#include "session_tally.hpp"

namespace torture {

inline constexpr const char* pool_name = "session_torture"; // the application_name of its sessions

/// The statement that waits for `nemesis::cancel_soon`.
inline constexpr const char* waits_for_cancel = "select pg_sleep(60)";

class nemesis {
public:
    struct options {
        std::uint64_t seed = 1;
        bool only_late_cancels = false; ///< every cancel request comes late, and nothing else happens
    };
    /// `url` does not lead through the gate.
    nemesis(std::string url, tenon::testing::gate& gate, tally& found, heartbeat& pulse, const options& how);

    /// Cancels a backend as soon as it is in `waits_for_cancel`. At the end of its life nothing is on its way to it.
    class cancel_soon {
    public:
        cancel_soon(nemesis& by, int pid);
        cancel_soon(const cancel_soon&) = delete;
        cancel_soon& operator=(const cancel_soon&) = delete;
        ~cancel_soon();

    private:
        friend class nemesis;
        struct request {
            explicit request(int of) : pid(of) {}
            int pid;
            std::atomic<bool> withdrawn{false};
            std::promise<void> over{};
        };
        std::shared_ptr<request> request_;
    };

    /// Was this backend ended? True also when one of the answers to COMMIT that were thrown away may have been its.
    /// 0 is one whose pid is not known.
    [[nodiscard]] bool explains_loss_of(int pid);

    [[nodiscard]] std::int64_t ended() const noexcept { return ended_; }
    [[nodiscard]] std::int64_t swallowed() const noexcept { return swallowed_; }

private:
    void work(const std::stop_token& stop);
    void serve_requests(tenon::connection& admin);
    void do_harm(tenon::connection& admin);
    void end_a_backend(tenon::connection& admin);
    [[nodiscard]] unsigned below(unsigned most) { return static_cast<unsigned>(random_() % most); }

    std::string url_;
    tenon::testing::gate& gate_;
    tally& found_;
    heartbeat& pulse_;
    bool only_late_cancels_;
    std::minstd_rand random_;

    std::mutex mutex_{};
    std::vector<std::shared_ptr<cancel_soon::request>> requests_{};
    std::unordered_set<int> ended_pids_{};
    int unexplained_answers_ = 0; // to COMMIT that were thrown away, whose loss nobody has reported yet
    // The mutex guards what is above, from itself on.

    std::atomic<std::int64_t> ended_{0};
    std::atomic<std::int64_t> swallowed_{0};
    std::optional<std::chrono::steady_clock::time_point> swallows_since_{}; // an answer to COMMIT is waited for
    std::chrono::steady_clock::time_point cancels_held_until_{};
    std::jthread worker_; // the last member: the first to end
};

} // namespace torture
