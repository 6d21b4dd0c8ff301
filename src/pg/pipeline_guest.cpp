#include "pipeline_guest.hpp"

#include <utility>

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 50ms;
constexpr statement_context whole{.operation = "pipeline"};
constexpr statement_context commit_context{.sql = "commit", .operation = "commit"};

} // namespace

pipeline_guest::pipeline_guest(session& on) : guest((on.take_over(), on.seat()), "a pipeline"), session_(on) {
    open();
}

void pipeline_guest::open() {
    exchange_.emplace(session_.line(), session_.limit());
    exchange_->enter_pipeline(whole);
    preface_ = session_.send_preface(*exchange_);
}

void pipeline_guest::send(const statement& what, parameters& values, pipeline_answer& answer, std::size_t number) {
    require_seat();
    prepared* ready = session_.known(what);
    if (ready == nullptr) {
        if (exchange_)
            drain(); // preparing has answers of its own, so it cannot happen in the middle
        ready = &session_.ready(what);
    }
    if (!exchange_)
        open();
    statement_context context = session::context_of(what);
    context.number = number;
    session_.send_prepared(*exchange_, context, *ready, values);
    in_flight_.push_back({context, &answer, session_.now_if_told()});
}

void pipeline_guest::drain(const statement_context* commit, pg_result_ptr* committed) {
    exchange& by = *exchange_;
    by.sync(whole);
    session::refusal refused = session_.take_preface(by, std::exchange(preface_, {}));
    const std::vector<queued> in_flight = std::exchange(in_flight_, {});
    clock::time_point sent_at{};
    for (const queued& each : in_flight) {
        if (refused.answer)
            break;
        pg_result_ptr answer = by.answer(each.context);
        if (PQresultStatus(answer.get()) == PGRES_FATAL_ERROR) {
            refused = {std::move(answer), each.context};
            sent_at = each.sent_at;
            break;
        }
        const result rows(answer.release());
        if (session_.told() != nullptr)
            session_.tell_statement(each.context, each.sent_at, rows.empty() ? rows.affected() : rows.size(), nullptr);
        if (each.answer != nullptr)
            each.answer->take(rows);
    }
    if (commit != nullptr && !refused.answer) {
        *committed = session_.take_commit(by);
        session_.tell_statement(*commit, commit_sent_at_, 0, nullptr);
        if (PQresultStatus(committed->get()) == PGRES_FATAL_ERROR)
            refused = {std::move(*committed), *commit};
    }
    by.leave_pipeline(whole);
    try {
        session_.throw_refused(refused, by);
    } catch (const error& failure) {
        session_.tell_statement(refused.context, sent_at, 0, &failure);
        for (const queued& each : in_flight)
            (void)session_.forget(each.context.sql, each.context.record, failure);
        exchange_.reset();
        throw;
    }
    exchange_.reset();
}

void pipeline_guest::finish(bool commit) {
    require_seat();
    if (exchange_)
        exchange_->limit(session_.limit()); // it may have moved since
    struct leaves {
        pipeline_guest& self;
        ~leaves() {
            self.exchange_.reset();
            self.stand_up();
        }
    };
    if (!commit || !exchange_ || session_.commits_alone()) {
        {
            const leaves in_any_case{*this};
            if (exchange_)
                drain();
        }
        if (commit)
            session_.commit();
        return;
    }
    pg_result_ptr committed;
    try {
        const leaves in_any_case{*this};
        commit_sent_at_ = session_.now_if_told();
        session_.send_commit(*exchange_);
        drain(&commit_context, &committed);
    } catch (const connection_lost& lost) {
        session_.fail_unknown(lost);
    } catch (const error&) {
        session_.rollback();
        throw;
    }
    session_.conclude_commit(committed.get());
}

void pipeline_guest::wind_up(clock::time_point until) {
    const exchange_ends in_any_case{exchange_};
    if (!exchange_ || !session_.is_open())
        return;
    // Where the transaction goes on, what was queued is run; where it ends, nobody wants the rest.
    exchange_->limit(until == clock::time_point::max() ? session_.limit() : time_limit{.until = after(patience)});
    for (queued& each : in_flight_)
        each.answer = nullptr; // nobody asks any more
    drain();
}

} // namespace tenon::detail
