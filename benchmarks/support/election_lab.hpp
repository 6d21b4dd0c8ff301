// An election among processes, faults done to its leader, and what came of it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <tenon/core/boot_clock.hpp>

#include "candidate_process.hpp"

namespace bench {

/// Tenon's tables and those that candidates write to; nothing happens when they are there.
void create_election_tables(const std::string& url);

struct election_faults_options {
    std::string election;
    int candidates = 2;
    int lease_ms = 2000;
    int poll_ms = 100;
    bool writes = false;
    bool fenced = true;
    std::string network_namespace{}; ///< of the first candidate
};

/// A term as its leader saw it.
struct seen_term {
    std::size_t candidate = 0;
    std::int32_t timeline = 0;
    std::int64_t term = 0;
    tenon::boot_clock::time_point elected{};
    tenon::boot_clock::time_point trusted_until{}; ///< the last deadline that it said
    std::optional<tenon::boot_clock::time_point> lost{};

    /// When it ceased to hold, by its own clock.
    [[nodiscard]] tenon::boot_clock::time_point held_until() const {
        return lost ? std::min(*lost, trusted_until) : trusted_until;
    }
};

class election_lab {
public:
    using clock = tenon::boot_clock;

    /// Starts the candidates; each connects by its own url, and is started again by it.
    election_lab(election_faults_options how, std::vector<std::string> urls);
    election_lab(const election_lab&) = delete;
    election_lab& operator=(const election_lab&) = delete;
    ~election_lab();

    /// The term that is held now, waited for. Throws std::runtime_error when there is none within `patience`.
    [[nodiscard]] seen_term leader(std::chrono::seconds patience = std::chrono::seconds(60));

    /// The first term that began after `since`. Throws std::runtime_error.
    [[nodiscard]] seen_term next_term(clock::time_point since,
                                      std::chrono::seconds patience = std::chrono::seconds(60));

    [[nodiscard]] candidate_process& candidate(std::size_t index);
    /// SIGKILL; the time of it.
    clock::time_point kill(std::size_t index);
    void start(std::size_t index);
    /// All anew, by other urls.
    void restart(std::vector<std::string> urls);

    /// All terms so far.
    [[nodiscard]] std::vector<seen_term> terms();

private:
    void heard(std::size_t index, const std::string& line);

    election_faults_options how_;
    std::vector<std::string> urls_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<seen_term> terms_; // as they were heard of
    std::vector<std::unique_ptr<candidate_process>> candidates_;
};

} // namespace bench
