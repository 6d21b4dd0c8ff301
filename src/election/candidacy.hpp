// One campaign and the term it may win: drives the candidate's machine with a session of its own.
//
// Until it is elected it runs on the campaigning thread, then on one of its own, the keeper. What other threads ask is
// `held`, three atomic reads, and what they want is left behind a mutex and the keeper woken.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include <tenon/core/boot_clock.hpp>
#include <tenon/core/observer.hpp>
#include <tenon/election/election.hpp>
#include <tenon/election/fencing_token.hpp>
#include <tenon/pg/detail/dedicated_session.hpp>
#include <tenon/pg/detail/prelude.hpp>

#include "candidate_machine.hpp"
#include "src/pg/process.hpp"
#include "src/pg/waiting.hpp"

namespace tenon::detail {

/// What an election's campaigns and terms share.
struct election_settings {
    pool& db;
    std::string name;
    election_options how; ///< with nothing left to be chosen
    observer* told;
    std::string channel;
    std::atomic<std::int32_t> newest_timeline{0}; ///< of all servers seen: an older one was replaced
    std::atomic<bool> busy{false};                ///< campaigning or leading

    [[nodiscard]] dedicated_options session_options(const std::string& purpose) const;
    void say(const std::string& text) const noexcept;
};

class candidacy : public std::enable_shared_from_this<candidacy> {
public:
    using clock = boot_clock;

    /// Throws usage_error when the election is busy.
    explicit candidacy(std::shared_ptr<election_settings> of);
    candidacy(const candidacy&) = delete;
    candidacy& operator=(const candidacy&) = delete;
    ~candidacy();

    /// Runs on the calling thread until the term is won, and hands it to the keeper; false when stopped first.
    bool win(const std::stop_token& stop);

    [[nodiscard]] bool held() const noexcept {
        return !leaving_.load(std::memory_order_acquire) && !forked_since(process_) && clock::now() < deadline();
    }
    [[nodiscard]] clock::time_point deadline() const noexcept {
        return clock::time_point(clock::duration(deadline_.load(std::memory_order_acquire)));
    }
    [[nodiscard]] const fencing_token& token() const noexcept { return token_; }
    [[nodiscard]] std::stop_token stop_token() const noexcept { return over_.get_token(); }
    [[nodiscard]] pool& where() const noexcept { return settings_.db; }

    void resign() noexcept;
    /// Resigns, and waits for the keeper, unless it is the one that calls.
    void part() noexcept;

    void enter();
    void leave_section() noexcept;
    void fence(transaction& tx) const;
    void note_rejection(const fenced_out& refused) noexcept;

private:
    /// One step of the machine's. False when it is over.
    bool step(const std::stop_token& stop);
    void keep() noexcept;
    void set_free() noexcept;
    void perform(const candidate_machine::action& next, const std::stop_token& stop);
    [[nodiscard]] bool is_hopeless(const error& failure) const;
    void say_failure(const std::string& what);
    void heed_requests();
    void heed_notifications();
    void open(const std::stop_token& stop);
    [[nodiscard]] dedicated_session::row say_hello(clock::time_point until);
    void try_lock();
    void bump(clock::time_point until);
    void end_predecessors(clock::time_point until);
    void heartbeat(clock::time_point until);
    void unlock(clock::time_point until);
    void request_leave(term_end cause) noexcept;
    void after_step();
    void begin_term(const dedicated_session::row& term);
    void end_term() noexcept;
    [[noreturn]] void throw_over() const;

    // Shared, because a stop callback on another thread may be the last to hold this object.
    const std::shared_ptr<election_settings> shared_;
    election_settings& settings_;
    dedicated_session session_;
    candidate_machine machine_;
    const clock::time_point began_ = clock::now();
    const unsigned process_ = process_generation(); // where the keeper is
    clock::time_point elected_at_{};
    std::string last_failure_;
    bool was_open_ = false;

    fencing_token token_{};
    std::array<std::string, 5> fence_texts_{};
    std::array<const char*, 5> fence_values_{};
    prelude fence_{};

    std::atomic<clock::rep> deadline_{0}; // of the term
    std::atomic<bool> leaving_{false};
    std::stop_source over_;

    std::mutex mutex_;
    parking_place ended_; // for who waits for the keeper's last step
    int under_way_ = 0;   // sections
    std::optional<term_end> wanted_end_{};
    clock::time_point drain_until_ = clock::time_point::max();
    bool superseded_ = false;
    bool finished_ = false;
    std::atomic<bool> holds_election_{true};

    std::optional<std::stop_callback<std::function<void()>>> on_stop_{};
    worker keeper_;
};

} // namespace tenon::detail
