// Leader election: one of many processes leads, and a stale leader can write nothing.
//
//     tenon::election scheduler{db, "scheduler"};
//     while (const auto leadership = scheduler.campaign(stop))
//         while (leadership->held())
//             leadership->transact([&](tenon::transaction& tx) { schedule_checks(tx); });
//
// A session of its own holds an advisory lock. The server ends that session when nothing is heard of it for a lease, so
// a leader that is killed, stopped or cut off is succeeded; its writes are refused from the moment its successor
// begins, whatever it believes itself. docs/election.md tells the protocol, what is promised, and how to choose the
// times.
//
// Its tables are made by `tenon::install`. One object campaigns for one name; a process may have many.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include <tenon/election/leader.hpp>
#include <tenon/election/leadership.hpp>
#include <tenon/pg/pool.hpp>

namespace tenon {

/// Lengths of time are in milliseconds.
struct election_options {
    /// Elections of one name in two regions are two elections.
    std::string region{};

    /// This process among the candidates; "host/pid" when empty.
    std::string candidate{};

    /// After so long without a heartbeat the server ends the leader's session; 100 ms to 1 h. A leader that is stopped
    /// or cut off is succeeded after it. Longer than any pause that a healthy process makes.
    std::chrono::milliseconds lease{10'000};

    /// The leader stops trusting its lease so much earlier: for clocks that run at different rates, and for the time a
    /// heartbeat's answer takes to be acted upon. 0 chooses a tenth of the lease; else less than half of it.
    std::chrono::milliseconds margin{0};

    /// Each candidate asks for the lock once in half of it to all of it, drawn at random; 5 ms to half the lease. A
    /// leader that dies is succeeded after it. Each candidate costs the server up to 2 / poll statements a second.
    std::chrono::milliseconds poll{500};

    /// How long a new leader waits for transactions of the term before it, which are ended then
    /// (pg_terminate_backend, so candidates and pools use one role, or one that is a member of pg_signal_backend);
    /// 1 ms to half the lease. They are there only after a leader was lost: one that resigns waits for its own.
    std::chrono::milliseconds grace{50};

    /// How long `leadership::resign` waits for transactions under way; 0 chooses the lease.
    std::chrono::milliseconds drain{0};

    /// A direct connection to the servers, where the pool's leads through a pooler; empty takes the pool's.
    std::string conninfo{};

    /// Called on the campaigning thread before `campaign` returns. What it throws is dropped.
    std::function<void(const fencing_token&)> on_elected{};

    /// Called once for each term, when this process knows that it is over, on a thread of the election's. What it
    /// throws is dropped.
    std::function<void(const fencing_token&, term_end)> on_lost{};

    /// One line for each turn of the story: "election scheduler: web-1/4711 leads, term 7". Called on the campaigning
    /// thread, then on one of the election's; what it throws is dropped.
    std::function<void(std::string_view)> log{};

    /// Throws usage_error naming the member and the rule it breaks.
    void validate() const;
};

class election {
public:
    /// Opens nothing yet. `db` must outlive it: leaders write through it. Its observer is told of this election, too.
    /// Throws usage_error for a name that is empty or longer than 200 bytes, and for options.
    election(pool& db, std::string_view name, const election_options& how = {});
    election(const election&) = delete;
    election& operator=(const election&) = delete;
    ~election();

    /// Blocks until this process leads, or `stop` is requested, which gives nullopt. `stop` also ends the term that was
    /// won. Outages are waited out: the session is opened again, with pauses of up to a quarter of a second, on
    /// whichever host of the connection string is the primary. Throws session_not_dedicated when the connection leads
    /// through a pooler; schema_mismatch when the tables are missing; connection_failed when the
    /// first try meets a wrong password, role or database; usage_error when this object campaigns or leads already.
    [[nodiscard]] std::optional<leadership> campaign(const std::stop_token& stop);

    /// Who leads now; nullopt when nobody does. Throws as `pool::transact`.
    [[nodiscard]] std::optional<leader> current();

    /// For those who do not campaign: calls `told` with who leads, first at once and then whenever that changes, until
    /// `stop` is requested. Changes are noticed by notification, else within the poll interval.
    /// What `told` throws leaves it. Throws session_not_dedicated, schema_mismatch.
    void observe(const std::stop_token& stop, const std::function<void(const std::optional<leader>&)>& told);

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace tenon
