// A term of leadership: what may be done while it lasts.
//
// The leader may be stopped, cut off or overtaken at any moment, also between two lines of its code. So whether it
// still leads is decided where it writes: `transact` puts a fence in front of its statements, and what a leader of an
// earlier term writes is refused by the database. There is no way to an unfenced transaction through a leadership.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <utility>

#include <tenon/core/boot_clock.hpp>
#include <tenon/core/error.hpp>
#include <tenon/core/observer.hpp>
#include <tenon/election/fencing_token.hpp>
#include <tenon/pg/pool.hpp>

namespace tenon {

namespace detail {

class candidacy;

/// A transaction of a leader while it runs: the leader waits for it before it hands over.
class fenced_section {
public:
    /// Throws fenced_out when the term is over.
    explicit fenced_section(candidacy& of, const transaction_options& how);
    fenced_section(const fenced_section&) = delete;
    fenced_section& operator=(const fenced_section&) = delete;
    ~fenced_section();

    [[nodiscard]] pool& where() const noexcept;
    /// Puts the fence in front of the transaction's first statement. Throws fenced_out when the term is over.
    void fence(transaction& tx) const;
    void note_rejection(const fenced_out& refused) const noexcept;

private:
    candidacy& candidacy_;
};

} // namespace detail

/// Movable; safe to share between threads. Destroying it resigns, also from inside of a callback. The election must
/// outlive it.
class leadership {
public:
    leadership(leadership&&) noexcept;
    leadership& operator=(leadership&&) noexcept;
    ~leadership();

    /// Whether the term lasts by this process's own clock: a clock read (about 50 ns). A hint for when to stop working;
    /// what protects the data is the fence.
    [[nodiscard]] bool held() const noexcept;

    /// To be sent along to whatever else must refuse a leader whose term is over.
    [[nodiscard]] const fencing_token& token() const noexcept;

    /// Until when the term is certain, by this process's clock, if no further heartbeat is answered.
    [[nodiscard]] boot_clock::time_point deadline() const noexcept;

    /// Requested as soon as the term is over, whatever ended it, on the thread that learns of it: mostly the one that
    /// sends heartbeats, so a callback must be quick.
    [[nodiscard]] std::stop_token stop_token() const noexcept;

    /// Runs `body(transaction&)` as `pool::transact`, behind the fence: it is committed only if no later term has
    /// begun. The server ends it when nothing is executed in it for a lease, so do long work outside of it. Costs no
    /// further round trip, unless it begins with raw SQL without parameters. Throws fenced_out when the term is over,
    /// and nothing is stored then; usage_error for a read-only transaction, which needs no fence.
    template <class Body>
    decltype(auto) transact(const transaction_options& how, Body&& body, caller where = caller::here()) const {
        const detail::fenced_section section(*candidacy_, how);
        try {
            return section.where().transact(
                how,
                [&](transaction& tx) -> decltype(auto) {
                    section.fence(tx);
                    return body(tx);
                },
                where);
        } catch (const fenced_out& refused) {
            section.note_rejection(refused);
            throw;
        }
    }
    template <class Body>
    decltype(auto) transact(Body&& body, caller where = caller::here()) const {
        return transact(transaction_options{}, std::forward<Body>(body), where);
    }

    /// Gives the term back: no transaction begins any more, those under way are waited for, the lock is released and
    /// the other candidates are told. Returns when that is done or the lease has run out; not to be called from inside
    /// of `transact`.
    void resign() const noexcept;

private:
    friend class election;
    explicit leadership(std::shared_ptr<detail::candidacy> candidacy) noexcept;

    std::shared_ptr<detail::candidacy> candidacy_;
};

} // namespace tenon
