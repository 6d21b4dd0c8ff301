#include "wire.hpp"

#include <sys/socket.h>

#include <exception>
#include <utility>

#include <tenon/core/error.hpp>

#include "dial.hpp"
#include "server_error.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto settling_patience = 1s;

} // namespace

wire::wire(PGconn* opened, std::chrono::milliseconds response_timeout, bool pooled) noexcept
    : owned_(opened), connection_(opened), response_timeout_(response_timeout), pooled_(pooled) {
    PQsetNoticeReceiver(
        connection_, [](void* self, const PGresult* notice) { static_cast<wire*>(self)->hear(notice); }, this);
}

wire::~wire() = default;

// Called by libpq in the middle of its work: it only notes.
void wire::hear(const PGresult* said) noexcept {
    const char* const severity = PQresultErrorField(said, PG_DIAG_SEVERITY_NONLOCALIZED);
    const std::string_view kind = severity != nullptr ? severity : "";
    try {
        if (kind == "FATAL" || kind == "PANIC") {
            hung_up_ = true;
            const char* const state = PQresultErrorField(said, PG_DIAG_SQLSTATE);
            farewell_ = {.sentence = sentence_of(said), .sqlstate = state != nullptr ? state : ""};
        } else if (kind == "WARNING") {
            // Told by the function that waits: the sentence differs between languages, and its SQLSTATE says nothing.
            const char* const function = PQresultErrorField(said, PG_DIAG_SOURCE_FUNCTION);
            if (function != nullptr && std::string_view(function) == "SyncRepWaitForLSN")
                standby_skipped_ = true;
        }
    } catch (const std::exception&) { // no memory for the words
        return;
    }
}

void wire::lose(std::string_view reason) noexcept {
    if (std::exchange(lost_, true))
        return;
    try {
        lost_reason_ = reason;
    } catch (const std::exception&) { // lost all the same
        return;
    }
}

void wire::close(std::string_view reason) noexcept {
    if (lost_)
        return;
    lose(reason);
    ::shutdown(PQsocket(connection_), SHUT_RDWR);
}

void wire::throw_not_open() const {
    if (forked_since(owned_.get_deleter().opened_in))
        throw usage_error("this connection belongs to the process that opened it: open one of your own after fork");
    throw connection_lost("this connection was lost earlier" +
                          (lost_reason_.empty() ? std::string() : " (" + lost_reason_ + ")") +
                          ": take another from the pool, or open a new one");
}

host_role wire::role() const noexcept {
    return role_of(connection_);
}

bool wire::seems_alive() noexcept {
    if (!is_open() || status() != PQTRANS_IDLE)
        return false;
    // Readable is a hint, not death: notifications and parameter changes arrive unasked, too. So read until there is no
    // more. A server that hangs up says farewell, which libpq takes for a notice, and ends the stream a moment after
    // it: either is enough.
    constexpr clock::time_point now{};
    while (by_->wait(PQsocket(connection_), POLLIN, now) == wait_outcome::ready) {
        if (PQconsumeInput(connection_) != 1 || PQstatus(connection_) != CONNECTION_OK)
            return false;
        (void)PQisBusy(connection_); // takes what has arrived apart
        if (hung_up_)
            return false;
    }
    return true;
}

void wire::settle(clock::time_point until) noexcept {
    if (cancels_.pending() && !cancels_.settle(*by_, std::min(until, after(settling_patience))))
        lose("a request to cancel its statement was not settled within a second");
}

void wire::request_cancel() noexcept {
    drain_due_ = pooled_;
    (void)cancels_.start(connection_, *by_);
}

void wire::settle_and_drain(clock::time_point until) noexcept {
    settle(until);
    if (std::exchange(drain_due_, false) && is_open())
        drain(std::min(until, after(settling_patience)));
}

void wire::drain(clock::time_point until) noexcept {
    bool answered = PQsendQuery(connection_, "") == 1;
    while (answered) {
        if (PQflush(connection_) > 0 || PQisBusy(connection_) == 1) {
            answered = by_->wait(PQsocket(connection_), POLLIN | (PQflush(connection_) > 0 ? POLLOUT : 0), until) ==
                           wait_outcome::ready &&
                       PQconsumeInput(connection_) == 1;
            continue;
        }
        if (const pg_result_ptr next(PQgetResult(connection_)); !next) // it may have been ended: that is what it is for
            return;
    }
    lose("a pooler did not answer behind a cancellation");
}

const wire::farewell& wire::read_farewell() noexcept {
    try {
        // Only what is there already: nothing here waits.
        while (by_->wait(PQsocket(connection_), POLLIN, clock::time_point{}) == wait_outcome::ready &&
               PQconsumeInput(connection_) == 1 && PQstatus(connection_) == CONNECTION_OK) {
        }
        int nothing = 0; // in pipeline mode a statement's answers end with one
        for (int most = 1000; most > 0 && nothing < 2 && PQisBusy(connection_) == 0; --most) {
            const pg_result_ptr next(PQgetResult(connection_));
            nothing = next ? 0 : nothing + 1;
            switch (PQresultStatus(next.get())) {
            case PGRES_COPY_IN:
            case PGRES_COPY_BOTH:
                (void)PQputCopyEnd(connection_, "the connection was lost"); // so that libpq reads what came
                break;
            case PGRES_COPY_OUT:
                for (char* bytes = nullptr; PQgetCopyData(connection_, &bytes, 1) > 0;)
                    PQfreemem(bytes);
                break;
            case PGRES_FATAL_ERROR:
                if (next && PQresultErrorField(next.get(), PG_DIAG_SQLSTATE) != nullptr)
                    farewell_ = {.sentence = sentence_of(next.get()),
                                 .sqlstate = PQresultErrorField(next.get(), PG_DIAG_SQLSTATE)};
                break;
            default:
                break;
            }
        }
    } catch (const std::exception&) { // no memory for the words
        return farewell_;
    }
    return farewell_;
}

void wire::lend() noexcept {
    lent_ = true;
    PQsetnonblocking(connection_, 0);
}

void wire::take_back() noexcept {
    if (std::exchange(lent_, false))
        PQsetnonblocking(connection_, 1);
}

} // namespace tenon::detail
