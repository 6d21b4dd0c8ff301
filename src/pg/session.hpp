// The session: what transactions, repositories and pools see of one connection.
//
// A facade over parts that each keep one invariant: the wire and its exchanges (wire.hpp, exchange.hpp), the
// transaction's state (transaction_state.hpp), the statements that were prepared (statement_cache.hpp) and checked
// (schema_check.hpp), and the guest that occupies it over several calls (guest.hpp). What happens between them is here:
//
//   how a statement is sent            statements.cpp, through exchange::send
//   what travels in front of it        preface.cpp
//   how a transaction begins and ends  session_transaction.cpp
//   how a wait ends                    exchange.cpp
//   when a session may be lent         end_lease in session.cpp
//
// Not thread-safe.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <tenon/codec/parameters.hpp>
#include <tenon/pg/connection.hpp>
#include <tenon/pg/detail/prelude.hpp>
#include <tenon/pg/pool.hpp>
#include <tenon/pg/result.hpp>
#include <tenon/pg/statement.hpp>

#include "exchange.hpp"
#include "guest.hpp"
#include "lease_record.hpp"
#include "schema_check.hpp"
#include "server_error.hpp"
#include "statement_cache.hpp"
#include "transaction_state.hpp"
#include "wire.hpp"

namespace tenon::detail {

class session {
public:
    using clock = std::chrono::steady_clock;

    /// Throws connection_failed. `pool` is its name in events.
    session(const std::string& conninfo, const connection_options& options, std::string_view pool = {},
            host_role wanted = host_role::unknown, const std::stop_token& stop = {});
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    ~session();

    [[nodiscard]] bool is_open() const noexcept { return wire_.is_open(); }
    /// Ends the session; the object stays, as a broken one.
    void close() noexcept { wire_.close("it was closed"); }
    [[nodiscard]] int backend_pid() const noexcept { return PQbackendPID(wire_.raw()); }
    [[nodiscard]] int server_version() const noexcept { return PQserverVersion(wire_.raw()); }
    [[nodiscard]] std::string database() const { return PQdb(wire_.raw()); }
    [[nodiscard]] clock::time_point opened_at() const noexcept { return opened_at_; }
    [[nodiscard]] host_role role() const noexcept { return wire_.role(); }
    [[nodiscard]] std::string_view pool() const noexcept { return pool_; }
    [[nodiscard]] observer* told() const noexcept { return options_.observer.get(); }

    lease_record lease{};

    /// Looks at the socket without waiting (about 0.2 us): false when the server has hung up.
    [[nodiscard]] bool seems_alive() noexcept { return wire_.seems_alive(); }
    /// A round trip for nothing; false when it is not answered in time.
    [[nodiscard]] bool answers_ping(clock::time_point until) noexcept;
    /// Leaves nothing of a borrower's transaction behind, whoever began it, nor of what it set: afterwards the session
    /// may be lent, or is broken. Takes two seconds at most.
    void end_lease(pool_options::reset reset) noexcept;

    // --- transaction -----------------------------------------------------------------------------------
    /// BEGIN, sent together with the first statement. Throws usage_error when a transaction is open.
    void begin(const transaction_options& how);
    /// See pg/detail/prelude.hpp.
    void lead_with(const prelude& first);
    /// Throws usage_error, and the transaction goes on, when a guest is at work.
    void commit();
    void rollback() noexcept;
    [[nodiscard]] transaction_state& transaction() noexcept { return transaction_; }
    /// `sql` has to run before anything else does: with the next statement. At once where other code may come first.
    void owe(std::string sql) {
        transaction_.owe(std::move(sql));
        settle_debts_where_lent();
    }
    void settle_debts_where_lent() {
        if (wire_.is_lent()) // other code may come before the next statement
            settle_debts();
    }

    // --- statements ------------------------------------------------------------------------------------
    /// Prepares, checks and runs a statement.
    result execute(const statement& what, parameters& values);
    /// Prepares and checks a statement without running it.
    void check(const statement& what);
    /// Raw SQL of the user's.
    result run_raw(std::string_view sql);
    /// Runs SQL without parameters by the simple protocol; answers what its last statement answered.
    pg_result_ptr run_script(std::string_view sql);
    /// Runs a constant query of tenon's own with one text parameter, rows in text format. Part of what has taken the
    /// session over.
    pg_result_ptr query_text(const char* sql, const char* parameter);

    // --- other code on the same PGconn -----------------------------------------------------------------
    /// The PGconn in the state other code expects: blocking, transaction begun.
    PGconn* lend_raw();
    /// What an interop layer keeps per session; destroyed before the PGconn is closed.
    struct companion {
        companion() = default;
        companion(const companion&) = delete;
        companion& operator=(const companion&) = delete;
        virtual ~companion() = default;
        virtual void end_transaction() noexcept = 0;
    };
    std::unique_ptr<companion> peer{};

    // --- for guests ------------------------------------------------------------------------------------
    [[nodiscard]] wire& line() noexcept { return wire_; }
    [[nodiscard]] guest_seat& seat() noexcept { return seat_; }
    [[nodiscard]] schema_check& checks() noexcept { return checks_; }
    [[nodiscard]] time_limit limit() const noexcept { return {.until = transaction_.deadline()}; }
    /// Before each use: open, nobody else at work, the transaction as it was left. Throws what is not so.
    void take_over() {
        if (seat_.is_taken() || wire_.is_lost() || wire_.is_lent() || transaction_.needs_a_look() ||
            wire_.status() != PQTRANS_INTRANS)
            look_before_use();
    }
    /// The prepared statement, prepared and checked when it is new to the session.
    [[nodiscard]] prepared& ready(const statement& what);
    [[nodiscard]] prepared* known(const statement& what) noexcept { return statements_.find(what); }
    void send_prepared(exchange& by, const statement_context& context, prepared& ready, parameters& values);
    /// Sends `sql`, which has the parameters of a statement that was prepared.
    static void send_with(exchange& by, const statement_context& context, const std::string& sql, const prepared& ready,
                          parameters& values);
    /// After a refusal: what cannot be used any more is prepared anew the next time. True when that was its reason.
    bool forget(std::string_view sql, const record_shape* record, const error& refused);

    /// What was sent in front of a statement, whose answers come first.
    struct preface {
        std::string_view begin{};
        bool with_id = false;
        const prelude* fence = nullptr;
        bool fence_prepared = false;
        std::vector<std::string> owed{};
    };
    /// In pipeline mode.
    [[nodiscard]] preface send_preface(exchange& by);
    /// An answer that tells of a refusal, and of what.
    struct refusal {
        pg_result_ptr answer{};
        statement_context context{};
    };
    [[nodiscard]] refusal take_preface(exchange& by, const preface& sent);
    [[nodiscard]] refusal take_begin(exchange& by, const preface& sent);
    /// Sends what is due, for what cannot follow it in a pipeline.
    void settle_preface(const time_limit& limit);
    /// BEGIN as text, where it is all that is due and can go in front of other SQL; what has answers of its own is
    /// sent.
    [[nodiscard]] std::string text_in_front();
    /// Throws deadline_exceeded when the transaction's deadline has passed.
    void require_time(const statement_context& context) const {
        if (transaction_.has_deadline() && clock::now() >= transaction_.deadline())
            throw deadline_exceeded(describe(context) + ": not done by its deadline");
    }

    /// Throws when the answer is a refusal.
    void require_success(const PGresult* answer, const statement_context& context, const exchange& by) {
        if (transaction_.has_failed() || PQresultStatus(answer) == PGRES_FATAL_ERROR)
            note_success(answer, context, by);
    }
    pg_result_ptr taken(exchange& by, const statement_context& context) {
        pg_result_ptr answer = by.answer(context);
        require_success(answer.get(), context, by);
        return answer;
    }
    void throw_refused(const refusal& first, const exchange& by) {
        if (first.answer)
            require_success(first.answer.get(), first.context, by);
    }

    void tell_statement(const statement_context& context, clock::time_point since, std::uint64_t rows,
                        const error* failure) noexcept;
    [[nodiscard]] clock::time_point now_if_told() const noexcept {
        return options_.observer ? clock::now() : clock::time_point{};
    }

    /// Sends COMMIT behind what else was sent, in pipeline mode; with what makes sure that it is heard of when its wait
    /// for the synchronous standby is cut short.
    void send_commit(exchange& by);
    /// Its answer, or that of what goes with it when it was refused.
    [[nodiscard]] pg_result_ptr take_commit(exchange& by);
    /// COMMIT travels at the end of a guest's exchange: what its answer means. Throws unless it is committed for sure.
    void conclude_commit(const PGresult* answer);
    [[noreturn]] void fail_unknown(const connection_lost& lost);
    /// What was stored cannot be told by the answer alone: COMMIT has to go by itself.
    [[nodiscard]] bool commits_alone() const noexcept {
        return transaction_.has_deadline() || transaction_.preface_due() ||
               (transaction_.fence() != nullptr && transaction_.saw_raw_sql());
    }

    [[nodiscard]] static statement_context context_of(const statement& what) noexcept {
        return {.sql = what.sql, .operation = what.operation, .record = what.record};
    }

private:
    void look_before_use();
    void note_success(const PGresult* answer, const statement_context& context, const exchange& by);
    void make_way();
    void finish_foreign(const time_limit& limit);
    void settle_debts();
    pg_result_ptr script(std::string_view sql, const time_limit& limit);
    pg_result_ptr round_trip(const statement_context& context, auto send);
    result execute_once(const statement& what, parameters& values);
    prepared& prepare(const statement& what);
    result observed(const statement_context& context, auto run);
    result refusing_control(std::string_view sql, auto run);
    [[noreturn]] void give_up_controlled();
    void forget_all();
    [[nodiscard]] std::string transaction_began();
    [[nodiscard]] bool send_fence(exchange& by, const prelude& fence);
    [[nodiscard]] refusal take_fence(exchange& by, const prelude& fence, bool prepared_now);
    pg_result_ptr commit_answer();
    [[noreturn]] void refuse_commit(const transaction_state::failure& why, const prelude* fence);
    void rollback(clock::time_point until) noexcept;
    void end_transaction() noexcept;
    void tell_end(transaction_event::end outcome) noexcept;

    connection_options options_;
    clock::time_point opened_at_;
    std::string pool_;
    wire wire_;
    transaction_state transaction_{};
    statement_cache statements_;
    schema_check checks_{};
    guest_seat seat_{};
    bool raw_use_ = false; // since it was lent: something may have been set that outlives the transaction
    bool fence_prepared_ = false;
    // A server that sends no warnings (client_min_messages = error) would not say what COMMIT did not wait for. Asked
    // by the first COMMIT; raw SQL may have changed it.
    enum class warnings { unknown, sent, muted } warnings_ = warnings::unknown;
    [[nodiscard]] bool has_to_unmute() const noexcept { return raw_use_ || warnings_ != warnings::sent; }
    unsigned own_begins_ = 0; // and commits, among the wire's tags
};

} // namespace tenon::detail
