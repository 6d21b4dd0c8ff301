// The wire: the PGconn of one session, and whether it can still be used.
//
// Invariant: once lost, nothing is sent or read any more; while a cancel request is pending, nothing is sent
// (exchange.hpp is the only sender, and settles first). What the server says unasked is heard here: its farewell, and
// that COMMIT did not wait for the synchronous standby.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <tenon/core/observer.hpp>

#include "canceller.hpp"
#include "dial.hpp"
#include "process.hpp"
#include "waiting.hpp"

namespace tenon::detail {

struct pg_result_clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using pg_result_ptr = std::unique_ptr<PGresult, pg_result_clear>;

class wire {
public:
    using clock = waiter::clock;

    /// Owns `opened`, which is non-blocking. `response_timeout` as in connection_options; `pooled` where a pooler may
    /// hand each transaction another session.
    wire(PGconn* opened, std::chrono::milliseconds response_timeout, bool pooled) noexcept;
    wire(const wire&) = delete;
    wire& operator=(const wire&) = delete;
    ~wire();

    [[nodiscard]] PGconn* raw() const noexcept { return connection_; }
    [[nodiscard]] bool is_open() const noexcept {
        return !lost_ && PQstatus(connection_) == CONNECTION_OK && !forked_since(owned_.get_deleter().opened_in);
    }
    [[nodiscard]] bool is_lost() const noexcept { return lost_; }
    /// Throws connection_lost with the reason; usage_error in a child of the process that opened it.
    void require_open() const {
        if (!is_open())
            throw_not_open();
    }
    /// From here on it is broken; the first reason stays.
    void lose(std::string_view reason) noexcept;
    /// Ends it at once for both sides; the PGconn stays, as other code may hold it.
    void close(std::string_view reason) noexcept;

    [[nodiscard]] PGTransactionStatusType status() const noexcept { return PQtransactionStatus(connection_); }
    [[nodiscard]] host_role role() const noexcept;
    /// Looks at the socket without waiting (about 0.2 us): false when the server has hung up.
    [[nodiscard]] bool seems_alive() noexcept;

    [[nodiscard]] waiter& by() const noexcept { return *by_; }
    [[nodiscard]] canceller& cancels() noexcept { return cancels_; }
    /// Asks the server to end what runs, unless that was done already.
    void request_cancel() noexcept;
    [[nodiscard]] std::chrono::milliseconds response_timeout() const noexcept { return response_timeout_; }
    /// Waits until no cancel request is pending; loses the wire when that takes more than a second.
    void settle(clock::time_point until = clock::time_point::max()) noexcept;
    /// The same between two exchanges: behind a pooler an empty statement takes what may come in spite of it.
    void settle_and_drain(clock::time_point until = clock::time_point::max()) noexcept;
    [[nodiscard]] bool is_settled() const noexcept { return !cancels_.pending() && !drain_due_; }

    /// Notes what matters of what the server says unasked, or instead of an answer before it hangs up.
    void hear(const PGresult* said) noexcept;
    /// What the server said before it hung up, read to its end; empty when it said nothing.
    struct farewell {
        std::string sentence{};
        std::string sqlstate{};
    };
    [[nodiscard]] const farewell& read_farewell() noexcept;

    /// True when the server has told since the last call that a COMMIT did not wait for its synchronous standby.
    [[nodiscard]] bool take_standby_skipped() noexcept { return std::exchange(standby_skipped_, false); }

    /// Command tags among the answers since the session began: what raw SQL did to the transaction.
    struct control_tags {
        unsigned begins_and_commits = 0;
        unsigned rollbacks = 0; ///< those to a savepoint, too
        bool deallocated_all = false;
    };
    [[nodiscard]] control_tags& tags() noexcept { return tags_; }

    /// Other code uses the PGconn between tenon's statements, in blocking mode.
    void lend() noexcept;
    void take_back() noexcept;
    [[nodiscard]] bool is_lent() const noexcept { return lent_; }

private:
    void drain(clock::time_point until) noexcept;
    [[noreturn]] void throw_not_open() const;

    connection_ptr owned_;
    PGconn* connection_; // the same
    waiter* by_ = &blocking();
    std::chrono::milliseconds response_timeout_;
    canceller cancels_{};
    bool pooled_;
    bool drain_due_ = false;
    bool lost_ = false;
    bool lent_ = false;
    bool standby_skipped_ = false;
    bool hung_up_ = false;
    control_tags tags_{};
    std::string lost_reason_{};
    farewell farewell_{};
};

} // namespace tenon::detail
