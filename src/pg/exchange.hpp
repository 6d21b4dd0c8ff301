// One exchange: what is sent to the server up to the next point where both sides are in step, and its answers.
//
// Invariant: it begins on a wire where no cancel request is pending, and it knows of everything up to its end whether
// its own deadline had it cancelled: a statement that the server ended for that reason has missed the deadline,
// whichever of the exchange's it was. This is the one place where statements are sent and answers waited for; every
// wait ends by the answer, by the deadline (with a cancel request and a second for the server to react), by
// response_timeout, or by losing the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <tenon/core/error.hpp>

#include "server_error.hpp"
#include "wire.hpp"

namespace tenon::detail {

/// How long an exchange may take.
struct time_limit {
    wire::clock::time_point until = wire::clock::time_point::max();
    enum class end {
        cancel,  ///< the server is asked to end the statement: the session goes on
        give_up, ///< the session is given up: what cannot even be cleaned up in time
    } at_end = end::cancel;
};

class exchange {
public:
    using clock = wire::clock;

    /// Throws connection_lost when the wire is, or cannot be settled.
    exchange(wire& on, const time_limit& limit) : wire_(on), limit_(limit) {
        if (!on.is_settled() || on.is_lent())
            settle();
    }
    exchange(const exchange&) = delete;
    exchange& operator=(const exchange&) = delete;
    ~exchange();

    /// `call` is one of libpq's sending functions.
    template <class Send>
    void send(const statement_context& context, Send call) {
        if (cancelled_)
            wire_.settle();
        if (call(wire_.raw()) != 1)
            fail(context);
    }
    /// COMMIT is among what was sent: from here on nothing is cancelled, and no deadline counts.
    void note_commit() noexcept { commits_ = true; }
    /// The deadline may have moved since.
    void limit(const time_limit& now) noexcept { limit_ = now; }

    /// While it lives, the deadline lets the server finish what it does, for as long as it has to react to a
    /// cancellation: for what is done in no time, and must not be left out.
    struct sparing {
        explicit sparing(exchange& by) noexcept : of(by) { of.spares_ = true; }
        sparing(const sparing&) = delete;
        sparing& operator=(const sparing&) = delete;
        ~sparing() {
            of.spares_ = false;
            of.heard();
        }
        exchange& of;
    };

    void enter_pipeline(const statement_context& context);
    /// The end of a run of statements in pipeline mode: behind a failure the rest is skipped up to here.
    void sync(const statement_context& context);
    /// Reads up to the sync, and leaves pipeline mode.
    void leave_pipeline(const statement_context& context);

    /// Hands what was sent to the socket; the server may want to be heard meanwhile.
    void flush(const statement_context& context) {
        if (PQflush(wire_.raw()) > 0) // when it failed, the server may have said why: reading the answer tells
            flush_on(context);
    }

    /// The next part of an answer, or nothing at its end.
    [[nodiscard]] pg_result_ptr next(const statement_context& context);
    /// The answer to one statement, read to its end; it may tell of the server's refusal.
    [[nodiscard]] pg_result_ptr answer(const statement_context& context);

    /// Waits once, for the socket to be ready. True when there is something to read.
    bool wait(short events, const statement_context& context);
    /// The time to the next answer counts anew.
    void heard() noexcept { until_known_ = false; }

    /// Ends what runs: the rest is not wanted.
    void cancel() noexcept;
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }

    /// Loses the wire and throws connection_lost with the server's last words, or with `reason`.
    [[noreturn]] void fail(const statement_context& context, std::string_view reason = {},
                           error_properties properties = {});

private:
    void settle();
    [[nodiscard]] pg_result_ptr longer_answer(pg_result_ptr first, pg_result_ptr second,
                                              const statement_context& context);
    void flush_on(const statement_context& context);
    bool wait_beside_cancel(short events, const statement_context& context);
    [[nodiscard]] clock::time_point patience() noexcept;
    void time_out(const statement_context& context);
    void note_control(PGresult* answer) noexcept;

    wire& wire_;
    time_limit limit_;
    clock::time_point until_{};
    bool until_known_ = false;
    bool cancelled_ = false;
    bool commits_ = false;
    bool spares_ = false;
    bool lent_ = false;
    clock::time_point grace_until_{};
};

/// Ends a guest's exchange with the scope, however that is left: a guest may live on.
struct exchange_ends {
    std::optional<exchange>& of;
    ~exchange_ends() { of.reset(); }
};

} // namespace tenon::detail
