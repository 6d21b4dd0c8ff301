// What a candidate does next: decisions without I/O and without sleeping.
//
//               opened              granted             bumped
//     offline ---------> following ---------> claiming ---------> leading
//        ^                  |  ^ refused         |                   | resign, stop
//        |   lost, failed   |  +--+              | lost              v          drained
//        +------------------+--------------------+               leaving ---------------> unlocking
//                                                                    |                       | unlocked
//                                            lost, deadline passed   v                       v
//                                leading, leaving, unlocking ------> over <-----------------+
//
// `next(now)` says what to do, a member named after what then happened moves on. The caller does the I/O. A lease is
// trusted from the moment the last acknowledged request was SENT, less a margin: the server, which ends a silent
// session after the lease, began to count later than that.
#pragma once

#include <chrono>
#include <optional>
#include <random>

#include <tenon/core/boot_clock.hpp>
#include <tenon/core/observer.hpp>

namespace tenon::detail {

class candidate_machine {
public:
    using clock = boot_clock;
    using time_point = clock::time_point;

    struct timing {
        clock::duration lease;
        clock::duration margin;
        clock::duration poll;
    };

    enum class state { offline, following, claiming, leading, leaving, unlocking, over };
    enum class step {
        open,             ///< a session
        wait,             ///< until `until`, or until something happens
        try_lock,         ///< once
        bump,             ///< the term, not beyond `until`
        end_predecessors, ///< the transactions of earlier terms, not beyond `until`
        heartbeat,        ///< not beyond `until`
        unlock,           ///< and tell the others, not beyond `until`
        close,            ///< the session: nothing more to do
    };
    struct action {
        step what;
        time_point until{};
    };

    candidate_machine(const timing& times, unsigned seed) : times_(times), random_(seed) {}

    [[nodiscard]] action next(time_point now);

    void opened(time_point now);
    void open_failed(time_point now);
    void refused(time_point now);
    /// The lock is ours: `sent` is when it was asked for. Unless the last leader resigned `in_order` it is given a
    /// moment to hear that it is none any more.
    void granted(time_point sent, bool in_order);
    /// Transactions of the term before hold the new one back, says an answer to what was sent then.
    void blocked(time_point sent);
    void predecessors_ended(time_point sent, bool any);
    /// The new term is stored.
    void bumped(time_point sent);
    void acknowledged(time_point sent);
    /// Somebody resigned: worth a try, but not by all at the same moment.
    void vacated(time_point now);
    void lost(time_point now);
    /// No further step is wanted: by `resign`, `stop` or a wish. Leads over leaving and unlocking to over.
    void leave(term_end cause);
    /// Nothing protected by the term is under way any more.
    void drained();
    void unlocked();
    /// The database refused the term: another has begun.
    void superseded();

    [[nodiscard]] state now_in() const noexcept { return state_; }
    /// Until when the lock and then the term are trusted.
    [[nodiscard]] time_point deadline() const noexcept { return deadline_; }
    /// Why it is over.
    [[nodiscard]] term_end cause() const noexcept { return cause_; }

private:
    [[nodiscard]] clock::duration up_to(clock::duration most);
    void trust(time_point sent) noexcept { deadline_ = sent + times_.lease - times_.margin; }
    void progressed() noexcept;
    void end(term_end cause) noexcept;

    timing times_;
    std::minstd_rand random_;
    state state_ = state::offline;
    time_point due_{}; // of the next attempt to open, to lock, or to say that we live
    clock::duration pause_{};
    time_point deadline_{};
    bool blocked_ = false;
    bool progressed_ = false; // in this session
    bool drained_ = false;
    term_end cause_ = term_end::resigned;
};

} // namespace tenon::detail
