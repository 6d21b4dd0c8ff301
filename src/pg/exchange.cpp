#include "exchange.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto cancel_grace = 1s;    // for the server to react to a cancellation
constexpr auto cancel_again = 100ms; // it may have come between two statements, where the server ignores it

} // namespace

exchange::~exchange() {
    if (!lent_)
        return;
    wire_.settle_and_drain(); // other code knows nothing of requests to cancel
    wire_.lend();
}

void exchange::settle() {
    wire_.settle_and_drain();
    wire_.require_open();
    lent_ = wire_.is_lent();
    wire_.take_back(); // until its end
}

void exchange::enter_pipeline(const statement_context& context) {
    if (PQenterPipelineMode(wire_.raw()) != 1)
        fail(context, one_line(PQerrorMessage(wire_.raw())));
}

void exchange::sync(const statement_context& context) {
    send(context, [](PGconn* on) { return PQpipelineSync(on); });
}

void exchange::leave_pipeline(const statement_context& context) {
    heard();
    // Answers up to the sync point belong to statements that were skipped after a failure.
    for (;;) {
        const pg_result_ptr answer = next(context);
        if (PQstatus(wire_.raw()) != CONNECTION_OK)
            fail(context);
        if (answer && PQresultStatus(answer.get()) == PGRES_PIPELINE_SYNC)
            break;
    }
    if (PQexitPipelineMode(wire_.raw()) != 1)
        fail(context);
}

exchange::clock::time_point exchange::patience() noexcept {
    until_known_ = true;
    until_ = commits_ || limit_.until == clock::time_point::max() ? clock::time_point::max()
             : spares_                                            ? limit_.until + cancel_grace
                                                                  : limit_.until;
    if (cancelled_)
        until_ = std::min(grace_until_, after(cancel_again));
    else if (wire_.response_timeout().count() != 0)
        until_ = std::min(until_, after(wire_.response_timeout()));
    return until_;
}

bool exchange::wait(short events, const statement_context& context) {
    if (wire_.cancels().pending())
        return wait_beside_cancel(events, context);
    pollfd socket{.fd = PQsocket(wire_.raw()), .events = events, .revents = 0};
    switch (wire_.by().wait({&socket, 1}, until_known_ ? until_ : patience())) {
    case wait_outcome::ready:
        return socket.revents != POLLOUT;
    case wait_outcome::cancelled:
        limit_.until = clock::now();
        [[fallthrough]];
    case wait_outcome::timed_out:
        time_out(context);
        return true;
    case wait_outcome::abandoned:
        break;
    }
    fail(context, "the wait for its answer was abandoned");
}

bool exchange::wait_beside_cancel(short events, const statement_context& context) {
    std::array sockets{pollfd{.fd = PQsocket(wire_.raw()), .events = events, .revents = 0}, wire_.cancels().watched()};
    switch (wire_.by().wait(sockets, until_known_ ? until_ : patience())) {
    case wait_outcome::ready:
        if (sockets[1].revents != 0)
            wire_.cancels().advance();
        break;
    case wait_outcome::abandoned:
        fail(context, "the wait for its answer was abandoned");
    case wait_outcome::timed_out:
    case wait_outcome::cancelled:
        time_out(context);
    }
    return true;
}

void exchange::time_out(const statement_context& context) {
    const auto now = clock::now();
    until_known_ = false;
    if (cancelled_ && now < grace_until_) {
        wire_.request_cancel();
        return;
    }
    if (cancelled_)
        fail(context, "the server did not react to the cancellation at the deadline");
    const bool missed = !commits_ && now >= limit_.until;
    if (missed && spares_ && now < limit_.until + cancel_grace)
        return;
    if (missed && limit_.at_end == time_limit::end::cancel)
        return cancel();
    if (!missed && !commits_ && wire_.response_timeout().count() == 0)
        return;    // the deadline has moved
    if (!commits_) // what is given up shall not run on
        wire_.request_cancel();
    fail(context, missed ? std::string("not done in the time that was left for it")
                         : "no answer within " + std::to_string(wire_.response_timeout().count()) +
                               " ms (response_timeout), so it was given up");
}

void exchange::cancel() noexcept {
    if (cancelled_)
        return;
    cancelled_ = true;
    grace_until_ = after(cancel_grace);
    until_known_ = false;
    wire_.request_cancel();
}

void exchange::flush_on(const statement_context& context) {
    heard();
    do {
        if (!wait(POLLIN | POLLOUT, context))
            continue;
        if (PQconsumeInput(wire_.raw()) != 1)
            return;
        (void)PQisBusy(wire_.raw()); // notices are taken apart, lest they fill the memory
    } while (PQflush(wire_.raw()) > 0);
}

pg_result_ptr exchange::next(const statement_context& context) {
    while (PQisBusy(wire_.raw()) == 1) {
        (void)wait(POLLIN, context);
        if (PQconsumeInput(wire_.raw()) != 1)
            break; // PQgetResult reports what happened
    }
    pg_result_ptr part(PQgetResult(wire_.raw()));
    if (PQresultStatus(part.get()) == PGRES_FATAL_ERROR)
        wire_.hear(part.get()); // in a pipeline it is one answer among others
    return part;
}

void exchange::note_control(PGresult* answer) noexcept {
    const std::string_view tag = PQcmdStatus(answer);
    if (tag == "COMMIT" || tag == "BEGIN" || tag == "START TRANSACTION" || tag == "PREPARE TRANSACTION")
        ++wire_.tags().begins_and_commits;
    else if (tag == "ROLLBACK")
        ++wire_.tags().rollbacks;
    else if (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL")
        wire_.tags().deallocated_all = true;
}

pg_result_ptr exchange::answer(const statement_context& context) {
    flush(context);
    heard();
    pg_result_ptr first = next(context);
    if (PQresultStatus(first.get()) != PGRES_TUPLES_OK)
        return longer_answer(std::move(first), nullptr, context);
    pg_result_ptr second = next(context);
    if (!second)
        return first;
    return longer_answer(std::move(first), std::move(second), context);
}

// What is no single set of rows: commands, several statements of a script, refusals.
pg_result_ptr exchange::longer_answer(pg_result_ptr first, pg_result_ptr second, const statement_context& context) {
    pg_result_ptr answer;
    pg_result_ptr failure;
    for (pg_result_ptr part = std::move(first); part; part = second ? std::move(second) : next(context)) {
        switch (PQresultStatus(part.get())) {
        case PGRES_FATAL_ERROR:
            if (!failure)
                failure = std::move(part);
            break;
        case PGRES_COPY_IN:
            PQputCopyEnd(wire_.raw(), "COPY FROM STDIN is not possible here");
            break;
        case PGRES_COPY_OUT:
        case PGRES_COPY_BOTH:
            fail(context, "COPY TO STDOUT is not possible here: use libpqxx's stream for it");
        case PGRES_PIPELINE_ABORTED:
        case PGRES_BAD_RESPONSE:
            fail(context, "the server's answers are out of step");
        case PGRES_COMMAND_OK:
            note_control(part.get());
            answer = std::move(part);
            break;
        default:
            answer = std::move(part);
        }
        if (PQstatus(wire_.raw()) != CONNECTION_OK)
            break;
    }
    // Connection first, SQLSTATE second: after a restart the SQLSTATE may be empty.
    if (failure && PQstatus(wire_.raw()) != CONNECTION_OK)
        fail(context, sentence_of(failure.get()), properties_of(failure.get(), context));
    if (!failure && !answer)
        fail(context);
    return failure ? std::move(failure) : std::move(answer);
}

void exchange::fail(const statement_context& context, std::string_view reason, error_properties properties) {
    std::string said(reason);
    if (said.empty()) {
        const wire::farewell& last = wire_.read_farewell();
        said = last.sentence.empty() ? one_line(PQerrorMessage(wire_.raw())) : last.sentence;
        if (properties.sqlstate.empty())
            properties.sqlstate = last.sqlstate;
    }
    wire_.lose(said);
    properties.statement = std::string(context.sql);
    throw connection_lost(describe(context) + ": connection lost: " + said, std::move(properties));
}

} // namespace tenon::detail
