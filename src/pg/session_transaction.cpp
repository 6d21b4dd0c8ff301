// How a session's transaction begins and ends.
//
// The trap of COMMIT: the server answers it in a transaction that has failed with the tag ROLLBACK and no error, and
// with a mere warning when its wait for the synchronous standby was cut short. Neither counts as committed.
#include <exception>
#include <utility>

#include <tenon/core/sqlstate.hpp>

#include "session.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto rollback_patience = 5s; // a server that cannot even roll back is given up

constexpr statement_context commit_context{.sql = "commit", .operation = "commit"};

// Until the transaction's end; the wait for the standby is before that.
constexpr const char* unmute = "select pg_catalog.current_setting('client_min_messages'),"
                               " pg_catalog.set_config('client_min_messages', 'warning', true)";

int send_text(PGconn* on, const char* sql) {
    return PQsendQueryParams(on, sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
}

} // namespace

void session::begin(const transaction_options& how) {
    wire_.require_open();
    if (transaction_.is_open())
        throw usage_error("a transaction is open on this connection already: end it first, or use a tenon::savepoint");
    if (wire_.status() != PQTRANS_IDLE)
        throw usage_error("this connection is inside a transaction that was not begun by tenon: end that first");
    transaction_.begin(how, now_if_told());
}

void session::tell_end(transaction_event::end outcome) noexcept {
    if (observer* const told = options_.observer.get(); told != nullptr)
        told->ended({.pool = pool_, .outcome = outcome, .duration = clock::now() - transaction_.began_at()});
}

void session::end_transaction() noexcept {
    transaction_.end();
    if (wire_.is_lent()) {
        seat_.clear_at_once({});
        peer->end_transaction();
        wire_.take_back();
    }
}

void session::commit() {
    if (seat_.is_taken())
        make_way();                 // a guest at work is told of: the transaction goes on
    if (transaction_.is_unsent()) { // nothing was ever sent
        end_transaction();
        return tell_end(transaction_event::end::committed);
    }
    wire_.require_open();
    if (wire_.is_lent())
        finish_foreign({});
    if (wire_.status() == PQTRANS_IDLE && !transaction_.is_void()) {
        end_transaction();
        throw usage_error("commit: the transaction was ended by other code on the same connection (COMMIT or ROLLBACK "
                          "as SQL?): end it through tenon::transaction only");
    }
    if (transaction_.fence_due() != nullptr) { // whatever way led past it: nothing is stored without its fence
        rollback();
        throw usage_error("commit: the transaction's fence was not sent, so nothing was stored");
    }
    // What is owed may undo the failure.
    if (transaction_.is_void() || (wire_.status() != PQTRANS_INTRANS && transaction_.owed().empty())) {
        const transaction_state::failure why = transaction_.first_failure();
        const prelude* const fence = transaction_.fence();
        rollback();
        refuse_commit(why, fence);
    }
    wire_.settle_and_drain(); // from here on a loss leaves the outcome unknown
    wire_.require_open();
    pg_result_ptr answer;
    try {
        answer = commit_answer();
    } catch (const connection_lost& lost) {
        fail_unknown(lost);
    } catch (const error&) {
        if (wire_.status() == PQTRANS_IDLE) { // the server has rolled back, and said why
            end_transaction();
            tell_end(transaction_event::end::rolled_back);
        } else // COMMIT was not reached: the fence refused
            rollback();
        throw;
    }
    conclude_commit(answer.get());
}

void session::send_commit(exchange& by) {
    (void)wire_.take_standby_skipped();
    by.note_commit();
    if (has_to_unmute())
        by.send(commit_context, [](PGconn* on) { return send_text(on, unmute); });
    by.send(commit_context, [](PGconn* on) { return send_text(on, "commit"); });
}

pg_result_ptr session::take_commit(exchange& by) {
    if (has_to_unmute()) {
        pg_result_ptr setting = by.answer(commit_context);
        if (PQresultStatus(setting.get()) != PGRES_TUPLES_OK)
            return setting;
        if (!raw_use_)
            warnings_ = std::string_view(PQgetvalue(setting.get(), 0, 0)) == "error" ? warnings::muted : warnings::sent;
    }
    return by.answer(commit_context);
}

pg_result_ptr session::commit_answer() {
    exchange by(wire_, {}); // COMMIT is not cut short
    // SQL may have ended the transaction and begun another, which has passed no fence: it does so now.
    const prelude* const fence = transaction_.saw_raw_sql() ? transaction_.fence() : nullptr;
    if (fence == nullptr && !transaction_.preface_due() && !has_to_unmute()) {
        (void)wire_.take_standby_skipped();
        by.note_commit();
        by.send(commit_context, [](PGconn* on) { return PQsendQuery(on, "commit"); });
        return taken(by, commit_context);
    }
    by.enter_pipeline(commit_context);
    const preface first = send_preface(by);
    const bool prepares = fence != nullptr && send_fence(by, *fence);
    send_commit(by);
    by.sync(commit_context);
    refusal refused = take_preface(by, first);
    if (!refused.answer && fence != nullptr)
        refused = take_fence(by, *fence, prepares);
    pg_result_ptr answer = refused.answer ? nullptr : take_commit(by);
    by.leave_pipeline(commit_context);
    throw_refused(refused, by);
    require_success(answer.get(), commit_context, by);
    return answer;
}

void session::conclude_commit(const PGresult* answer) {
    const transaction_state::failure why = transaction_.first_failure();
    const prelude* const fence = transaction_.fence();
    const std::uint64_t id = transaction_.id();
    end_transaction();
    if (std::string_view(PQcmdStatus(const_cast<PGresult*>(answer))) != "COMMIT") { // NOLINT: it is not changed
        tell_end(transaction_event::end::rolled_back);
        refuse_commit(why, fence);
    }
    ++own_begins_;
    if (wire_.take_standby_skipped()) {
        tell_end(transaction_event::end::unknown);
        throw error("commit: committed by this server, but its wait for the synchronous standby was cut short: it is "
                    "lost if the standby takes over without it",
                    {.statement = "commit", .outcome_unknown = true, .transaction_id = id});
    }
    tell_end(transaction_event::end::committed);
}

void session::fail_unknown(const connection_lost& lost) {
    end_transaction();
    tell_end(transaction_event::end::unknown);
    throw outcome_unknown(lost, transaction_.id());
}

void session::refuse_commit(const transaction_state::failure& why, const prelude* fence) {
    if (why.sqlstate == sqlstate::fenced_out) // it was told, and dropped
        throw fenced_out(why.sentence, {.sqlstate = why.sqlstate, .statement = fence != nullptr ? fence->sql : ""});
    throw failed_transaction(
        "commit: nothing was stored, because a statement of this transaction had failed" +
            (why.sentence.empty() ? std::string() : ": " + why.sentence) +
            "; let the error leave the transaction, or put a tenon::savepoint around what may fail",
        {.sqlstate = why.sqlstate.empty() ? std::string(sqlstate::in_failed_transaction) : why.sqlstate});
}

void session::rollback() noexcept {
    rollback(clock::now() + rollback_patience);
}

void session::rollback(clock::time_point until) noexcept {
    const bool sent = !transaction_.is_unsent();
    const bool was_open = transaction_.is_open();
    try {
        seat_.clear(until);
        if (wire_.is_lent() && is_open())
            finish_foreign({.until = until, .at_end = time_limit::end::give_up});
    } catch (const std::exception&) { // rolled back as it is, or lost
        (void)until;
    }
    if (was_open)
        tell_end(transaction_event::end::rolled_back);
    end_transaction();
    if (!sent || !is_open() || wire_.status() == PQTRANS_IDLE)
        return;
    try {
        (void)script("rollback", {.until = until, .at_end = time_limit::end::give_up});
    } catch (const std::exception&) { // a session that cannot roll back is of no further use
        wire_.lose("its transaction could not be rolled back");
    }
}

} // namespace tenon::detail
