#include "session.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include <tenon/codec/text.hpp>
#include <tenon/core/sqlstate.hpp>

#include "dial.hpp"

namespace tenon::detail {

namespace {

// One constant text for each kind of transaction.
std::string_view begin_text(const transaction_options& how) {
    static const auto texts = [] {
        std::array<std::string, 12> all;
        // The level is always said, so that a default of the server or the role does not change what code relies on.
        constexpr std::array levels{" isolation level read committed", " isolation level repeatable read",
                                    " isolation level serializable"};
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = std::string("begin") + levels[i % 3] + (i / 3 % 2 != 0 ? " read only" : "") +
                     (i / 6 != 0 ? " deferrable" : "");
        return all;
    }();
    return texts[static_cast<std::size_t>(how.level) + (how.read_only ? 3U : 0U) + (how.deferrable ? 6U : 0U)];
}

constexpr const char* ended_by_sql =
    "the transaction was ended by other code on the same connection (COMMIT or ROLLBACK as SQL?): end it through "
    "tenon::transaction only";

bool is_control(std::string_view tag) noexcept {
    return tag == "COMMIT" || tag == "BEGIN" || tag == "START TRANSACTION" || tag == "PREPARE TRANSACTION";
}

} // namespace

session::session(const std::string& conninfo, const connection_options& options, std::string_view pool,
                 host_role wanted, const std::stop_token& stop)
    : options_(options), opened_at_(clock::now()), pool_(pool) {
    options.validate();
    try {
        connection_ = dial(conninfo, {.timeout = options.connect_timeout, .wanted = wanted, .stop = stop});
    } catch (const error& failure) {
        if (observer* const told = options_.observer.get())
            told->connected({.pool = pool_,
                             .create = clock::now() - opened_at_,
                             .error = failure.what(),
                             .response_status = failure.sqlstate(),
                             .role = host_role::unknown});
        throw;
    }
    mute_notices();
    if (observer* const told = options_.observer.get())
        told->connected(
            {.pool = pool_, .create = clock::now() - opened_at_, .error = {}, .response_status = {}, .role = role()});
}

host_role session::role() const noexcept {
    return role_of(connection_);
}

bool session::answers_ping(clock::time_point until) noexcept {
    try {
        statement_deadline_ = until;
        (void)run_script("");
        statement_deadline_ = clock::time_point::max();
        return is_open();
    } catch (const std::exception&) {
        return false;
    }
}

session::~session() {
    peer.reset();
    PQfinish(connection_);
}

void session::close() noexcept {
    if (lost_)
        return;
    lost_ = true;
    lost_reason_ = "it was closed";
    ::shutdown(PQsocket(connection_), SHUT_RDWR); // the PGconn itself may still be lent to libpqxx
}

void session::mute_notices() noexcept {
    PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
}

bool session::seems_alive() noexcept {
    if (!is_open() || PQtransactionStatus(connection_) != PQTRANS_IDLE)
        return false;
    pollfd socket{.fd = PQsocket(connection_), .events = POLLIN, .revents = 0};
    // Readable is a hint, not death: notifications and parameter changes arrive unasked, too. So read until
    // there is no more. A server that hangs up says farewell, which libpq takes for a notice, and ends the
    // stream a moment after it: either is enough.
    while (::poll(&socket, 1, 0) != 0)
        if (PQconsumeInput(connection_) != 1 || PQstatus(connection_) != CONNECTION_OK || heard_farewell())
            return false;
    return true;
}

bool session::heard_farewell() noexcept {
    bool heard = false;
    const PQnoticeReceiver before = PQsetNoticeReceiver(connection_, nullptr, nullptr);
    PQsetNoticeReceiver(
        connection_,
        [](void* found, const PGresult* notice) {
            const char* const severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
            if (severity != nullptr && (std::string_view(severity) == "FATAL" || std::string_view(severity) == "PANIC"))
                *static_cast<bool*>(found) = true;
        },
        &heard);
    (void)PQisBusy(connection_); // takes what has arrived apart
    PQsetNoticeReceiver(connection_, before, nullptr);
    return heard;
}

void session::require_open() const {
    if (!is_open())
        throw connection_lost("this connection was lost earlier" +
                              (lost_reason_.empty() ? std::string() : " (" + lost_reason_ + ")") +
                              ": take another from the pool, or open a new one");
}

void session::take_over() {
    require_open();
    if (statement_deadline_ != clock::time_point::max() && clock::now() >= statement_deadline_)
        throw deadline_exceeded("the deadline has passed: nothing was sent");
    if (in_transaction_ && pending_begin_.empty() && PQtransactionStatus(connection_) == PQTRANS_IDLE)
        throw usage_error(ended_by_sql);
    if (occupied_ != occupation::none)
        throw usage_error("a stream or COPY is under way on this connection: end it before the next statement");
    if (!lent_)
        return;
    // libpqxx leaves the end of a COPY's answer to the next statement.
    constexpr statement_context context{.operation = "statement of other code"};
    auto until = deadline();
    while (const pg_result_ptr next = next_result(until, context))
        if (const auto status = PQresultStatus(next.get()); status == PGRES_COPY_IN || status == PGRES_COPY_OUT)
            fail_lost(context, "its COPY is unfinished");
}

void session::begin(const transaction_options& how) {
    require_open();
    if (in_transaction_)
        throw usage_error("a transaction is open on this connection already: end it first, or use a tenon::savepoint");
    if (PQtransactionStatus(connection_) != PQTRANS_IDLE)
        throw usage_error("this connection is inside a transaction that was not begun by tenon: end that first");
    in_transaction_ = true;
    keeps_id_ = how.keep_id;
    read_only_ = how.read_only;
    transaction_id_ = 0;
    if (how.deadline.count() > 0)
        statement_deadline_ = std::min(statement_deadline_, clock::now() + how.deadline);
    if (options_.observer)
        began_at_ = clock::now();
    pending_begin_ = begin_text(how);
    prelude_ = nullptr;
    led_by_ = nullptr;
    first_failure_.clear();
    first_failure_state_.clear();
}

bool session::send_begin() {
    if (pending_begin_.empty())
        return false;
    const char* const text = pending_begin_.data(); // one of begin_text's, which end in NUL
    const bool sent = PQsendQueryParams(connection_, text, 0, nullptr, nullptr, nullptr, nullptr, 0) == 1;
    if (!sent ||
        (keeps_id_ && PQsendQueryParams(connection_, "select pg_catalog.pg_current_xact_id()", 0, nullptr, nullptr,
                                        nullptr, nullptr, 0) != 1) ||
        (prelude_ != nullptr && !send_prelude()))
        fail_lost({.operation = "begin"});
    return true;
}

void session::take_begin() {
    const statement_context context{.sql = pending_begin_, .operation = "begin"};
    pending_begin_ = {};
    (void)take_answer(context);
    if (keeps_id_) {
        const pg_result_ptr id = take_answer({.operation = "id of the transaction"});
        transaction_id_ = std::strtoull(PQgetvalue(id.get(), 0, 0), nullptr, 10);
    }
    if (prelude_ != nullptr)
        take_prelude();
}

void session::begin_now() {
    const statement_context context{.operation = "begin"};
    (void)in_pipeline(context, [&] {
        if (!send_begin() || PQpipelineSync(connection_) != 1)
            fail_lost(context);
        take_begin();
        return 0;
    });
}

void session::fail_unknown(const connection_lost& lost) {
    tell_end(transaction_event::end::unknown);
    throw outcome_unknown(lost, transaction_id_);
}

void session::tell_statement(const statement_context& context, clock::time_point since, std::uint64_t rows,
                             const error* failure) noexcept {
    observer* const told = options_.observer.get();
    if (told == nullptr)
        return;
    told->executed({.pool = pool_,
                    .operation = context.operation,
                    .collection = context.record != nullptr ? context.record->table : std::string_view(),
                    .response_status = failure != nullptr ? failure->sqlstate() : std::string_view(),
                    .failed = failure != nullptr,
                    .duration = clock::now() - since,
                    .wait = lease.wait,
                    .rows = rows,
                    .role = role()});
}

result session::run_raw(std::string_view sql) {
    note_raw_use();
    return observed({.sql = sql, .operation = "statement"},
                    [&] { return refusing_control([&] { return result(run_script(sql).release()); }); });
}

void session::give_up_controlled() {
    lost_ = true;
    lost_reason_ = "SQL ended its transaction, or began another";
    throw usage_error(
        "transaction control as SQL (BEGIN, COMMIT, PREPARE TRANSACTION) inside of a tenon::transaction: the "
        "connection was given up; what was committed by SQL stays");
}

result session::send_commit(const statement_context& context) {
    // SQL may have ended the transaction and begun another, which has passed no fence: it does so now.
    if (led_by_ != nullptr && raw_use_)
        return in_pipeline(context, [&] {
            prelude_ = led_by_;
            if (!send_prelude() ||
                PQsendQueryParams(connection_, "commit", 0, nullptr, nullptr, nullptr, nullptr, 0) != 1 ||
                PQpipelineSync(connection_) != 1)
                fail_lost(context);
            take_prelude();
            return result(take_answer(context).release());
        });
    if (PQsendQuery(connection_, "commit") != 1)
        fail_lost(context);
    return result(take_answer(context).release());
}

void session::tell_end(transaction_event::end outcome) noexcept {
    if (observer* const told = options_.observer.get(); told != nullptr)
        told->ended({.pool = pool_, .outcome = outcome, .duration = clock::now() - began_at_});
}

void session::commit() {
    constexpr statement_context context{.sql = "commit", .operation = "commit"};
    if (!pending_begin_.empty()) { // nothing was ever sent
        end_transaction();
        pending_begin_ = {};
        tell_end(transaction_event::end::committed);
        return;
    }
    statement_deadline_ = clock::time_point::max(); // COMMIT is not cut short
    if (is_open() && PQtransactionStatus(connection_) == PQTRANS_IDLE) {
        end_transaction();
        throw usage_error(std::string("commit: ") + ended_by_sql);
    }
    take_over();
    if (prelude_ != nullptr) { // whatever way led past it: nothing is stored without its fence
        rollback();
        throw usage_error("commit: the transaction's fence was not sent, so nothing was stored");
    }
    end_transaction();
    const auto status = PQtransactionStatus(connection_);
    if (status != PQTRANS_INTRANS) {
        rollback();
        refuse_commit();
    }
    result committed;
    try {
        committed = send_commit(context);
    } catch (const connection_lost& lost) {
        fail_unknown(lost);
    } catch (const error&) {
        if (PQtransactionStatus(connection_) != PQTRANS_IDLE) { // COMMIT was not reached: the fence refused
            rollback();
            tell_end(transaction_event::end::rolled_back);
        }
        throw;
    }
    // The server answers COMMIT of a failed transaction with the tag ROLLBACK, and no error.
    if (committed.command() != "COMMIT") {
        tell_end(transaction_event::end::rolled_back);
        refuse_commit();
    }
    tell_end(transaction_event::end::committed);
}

void session::refuse_commit() {
    if (first_failure_state_ == sqlstate::fenced_out) // it was told, and dropped
        throw fenced_out(first_failure_, {.sqlstate = first_failure_state_, .statement = led_by_ ? led_by_->sql : ""});
    throw failed_transaction(
        "commit: nothing was stored, because a statement of this transaction had failed" +
            (first_failure_.empty() ? std::string() : ": " + first_failure_) +
            "; let the error leave the transaction, or put a tenon::savepoint around what may fail",
        {.sqlstate =
             first_failure_state_.empty() ? std::string(sqlstate::in_failed_transaction) : first_failure_state_});
}

void session::end_transaction() noexcept {
    in_transaction_ = false;
    statement_deadline_ = clock::time_point::max(); // one of the transaction's ends with it
    if (lent_) {
        peer->end_transaction();
        PQsetnonblocking(connection_, 1);
        lent_ = false;
    }
}

void session::end_lease(pool_options::reset reset) noexcept {
    statement_deadline_ = clock::time_point::max();
    try {
        take_over();
    } catch (const std::exception&) { // broken, and noted as such
        return;
    }
    if (const auto status = PQtransactionStatus(connection_); status == PQTRANS_INTRANS || status == PQTRANS_INERROR)
        rollback();
    else if (status != PQTRANS_IDLE) // a statement is still under way
        lost_ = true;
    const bool raw_use = std::exchange(raw_use_, false);
    if (reset == pool_options::reset::never || (reset == pool_options::reset::after_raw_sql && !raw_use) || !is_open())
        return;
    try {
        statement_deadline_ = clock::now() + rollback_patience;
        (void)run_script("set session authorization default; reset all; unlisten *;"
                         " select pg_catalog.pg_advisory_unlock_all()");
        statement_deadline_ = clock::time_point::max();
    } catch (const std::exception&) { // nobody shall have it with somebody else's settings
        lost_ = true;
        lost_reason_ = "its settings could not be reset";
    }
}

void session::rollback() noexcept {
    if (in_transaction_)
        tell_end(transaction_event::end::rolled_back);
    end_transaction();
    if (!pending_begin_.empty()) {
        pending_begin_ = {};
        return;
    }
    if (!is_open() || PQtransactionStatus(connection_) == PQTRANS_IDLE)
        return;
    try {
        statement_deadline_ = clock::now() + rollback_patience;
        if (occupied_ == occupation::copy_in)
            abort_copy_in();
        else if (occupied_ != occupation::none)
            stop_rows();
        statement_deadline_ = clock::now() + rollback_patience;
        (void)run_script("rollback");
        statement_deadline_ = clock::time_point::max();
    } catch (const std::exception&) { // a session that cannot roll back is of no further use
        lost_ = true;
        lost_reason_ = "its transaction could not be rolled back";
    }
}

PGconn* session::lend_raw() {
    require_open();
    raw_use_ = true;
    if (!pending_begin_.empty())
        (void)run_script("");
    PQsetnonblocking(connection_, 0);
    lent_ = true;
    return connection_;
}

void session::note_failure(const PGresult* answer) {
    if (!in_transaction_ || !first_failure_.empty())
        return;
    first_failure_ = sentence_of(answer);
    const char* state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
    first_failure_state_ = state != nullptr ? state : "";
}

void session::fail_lost(const statement_context& context, std::string_view reason, error_properties properties) {
    lost_ = true;
    lost_reason_ = reason.empty() ? one_line(PQerrorMessage(connection_)) : std::string(reason);
    properties.statement = std::string(context.sql);
    throw connection_lost(describe(context) + ": connection lost: " + lost_reason_, std::move(properties));
}

session::clock::time_point session::deadline() const noexcept {
    if (cancelled_)
        return clock::now() + cancel_grace;
    if (options_.response_timeout.count() == 0)
        return statement_deadline_;
    return std::min(statement_deadline_, clock::now() + options_.response_timeout);
}

void session::wait(short events, clock::time_point& until, const statement_context& context) {
    if (wait_for_socket(connection_, events, until))
        return;
    if (!cancelled_ && clock::now() >= statement_deadline_) {
        cancelled_ = true;
        cancel();
        until = clock::now() + cancel_grace;
        return;
    }
    fail_lost(context, cancelled_ ? std::string("the server did not react to the cancellation at the deadline")
                                  : "no answer within " + std::to_string(options_.response_timeout.count()) +
                                        " ms (response_timeout), so it was given up");
}

void session::flush(const statement_context& context) {
    auto until = deadline();
    for (;;) {
        const int left = PQflush(connection_);
        if (left == 0)
            return;
        if (left < 0) {
            // The server may have said why before it hung up: reading the answer tells.
            return;
        }
        wait(POLLIN | POLLOUT, until, context);
        if (PQconsumeInput(connection_) != 1)
            return;
    }
}

pg_result_ptr session::next_result(clock::time_point& until, const statement_context& context) {
    while (PQisBusy(connection_) == 1) {
        wait(POLLIN, until, context);
        if (PQconsumeInput(connection_) != 1)
            break; // PQgetResult reports what happened
    }
    return pg_result_ptr(PQgetResult(connection_));
}

pg_result_ptr session::take_answer(const statement_context& context) {
    flush(context);
    auto until = deadline();
    pg_result_ptr answer;
    pg_result_ptr failure;
    while (pg_result_ptr next = next_result(until, context)) {
        switch (PQresultStatus(next.get())) {
        case PGRES_FATAL_ERROR:
            if (!failure)
                failure = std::move(next);
            break;
        case PGRES_COPY_IN:
            PQputCopyEnd(connection_, "COPY FROM STDIN is not possible here");
            break;
        case PGRES_COPY_OUT:
        case PGRES_COPY_BOTH:
            fail_lost(context, "COPY TO STDOUT is not possible here: use libpqxx's stream for it");
        case PGRES_PIPELINE_ABORTED:
        case PGRES_BAD_RESPONSE:
            fail_lost(context, "the server's answers are out of step");
        default:
            answer = std::move(next);
            if (watching_control_ && is_control(PQcmdStatus(answer.get())) && context.operation != "begin")
                ++controls_;
        }
        if (PQstatus(connection_) != CONNECTION_OK)
            break;
    }
    if (failure)
        throw_failure(failure.get(), context);
    if (!answer)
        fail_lost(context);
    cancelled_ = false; // it came too late to matter
    if (!first_failure_.empty() && PQtransactionStatus(connection_) == PQTRANS_INTRANS)
        first_failure_.clear(); // a savepoint undid it
    return answer;
}

void session::throw_failure(const PGresult* answer, const statement_context& context) {
    // Connection first, SQLSTATE second: after a restart the SQLSTATE may be empty.
    if (PQstatus(connection_) != CONNECTION_OK) {
        const std::string sentence = sentence_of(answer);
        fail_lost(context, sentence.empty() ? one_line(PQerrorMessage(connection_)) : sentence,
                  properties_of(answer, context));
    }
    note_failure(answer);
    // A server that was a primary and takes no writes any more is of no use to the pool.
    if (const char* const state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
        state != nullptr && state == sqlstate::read_only_transaction && !read_only_ && role() != host_role::primary)
        lease.unwanted = true;
    if (const char* const state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
        std::exchange(cancelled_, false) && state != nullptr && state == sqlstate::query_canceled)
        throw deadline_exceeded(describe(context) + ": not done by its deadline, and cancelled",
                                properties_of(answer, context));
    throw_server_error(answer, context);
}

void session::enter_pipeline() {
    if (PQenterPipelineMode(connection_) != 1)
        fail_lost({}, one_line(PQerrorMessage(connection_)));
}

void session::leave_pipeline(const statement_context& context) {
    auto until = deadline();
    // Answers up to the sync point belong to statements that were skipped after a failure.
    for (;;) {
        const pg_result_ptr next = next_result(until, context);
        if (PQstatus(connection_) != CONNECTION_OK)
            fail_lost(context);
        if (next && PQresultStatus(next.get()) == PGRES_PIPELINE_SYNC)
            break;
    }
    if (PQexitPipelineMode(connection_) != 1)
        fail_lost(context);
}

pg_result_ptr session::run_script(std::string_view sql) {
    take_over();
    std::string text;
    if (begin_is_not_alone())
        begin_now();
    if (!pending_begin_.empty()) {
        text.append(pending_begin_).append(";");
        --controls_; // that one is ours
    }
    text.append(sql);
    refuse_nul(text);
    const statement_context context{.sql = sql, .operation = "statement"};
    pending_begin_ = {};
    if (PQsendQuery(connection_, text.c_str()) != 1)
        fail_lost(context);
    return take_answer(context);
}

pg_result_ptr session::query_text(const char* sql, const char* parameter) {
    take_over();
    const statement_context context{.sql = sql, .operation = "catalog query"};
    return exchange(
        context, [&] { return PQsendQueryParams(connection_, sql, 1, nullptr, &parameter, nullptr, nullptr, 0) == 1; });
}

} // namespace tenon::detail
