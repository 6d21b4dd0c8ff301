#include "cursor.hpp"

#include <algorithm>
#include <utility>

#include <tenon/codec/text.hpp>

#include "stream_savepoint.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr int first_block = 32; // until the size of a row is known
constexpr int largest_block = 4000;
constexpr std::size_t block_bytes = 1 << 20;
constexpr std::size_t blocks_under_way = 2;
constexpr auto patience = 50ms; // for blocks under way when a stream is left

// All rows will be read, so the plan for the first ones is not wanted. Answers what the setting was.
constexpr const char* plan_for_all_rows = "select pg_catalog.current_setting('cursor_tuple_fraction'),"
                                          " pg_catalog.set_config('cursor_tuple_fraction', '1', true)";
constexpr const char* restore_planning = "select pg_catalog.set_config('cursor_tuple_fraction', $1, true)";

int send_text(PGconn* on, const char* sql) {
    return PQsendQueryParams(on, sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
}

bool is_refusal(const pg_result_ptr& answer) {
    return PQresultStatus(answer.get()) == PGRES_FATAL_ERROR;
}

} // namespace

cursor::cursor(session& on, const statement& what, parameters& values)
    : guest((on.take_over(), on.seat()), "a stream"),
      session_(on),
      context_(session::context_of(what)),
      since_(on.now_if_told()) {
    const prepared& ready = on.ready(what);
    const std::string declare = "declare tenon_stream no scroll cursor for " + std::string(what.sql);
    refuse_nul(declare);
    exchange& by = exchange_.emplace(on.line(), on.limit());
    by.enter_pipeline(context_);
    preface_ = on.send_preface(by);
    for (const char* const step : {stream_savepoint, plan_for_all_rows})
        by.send(context_, [&](PGconn* to) { return send_text(to, step); });
    session::send_with(by, context_, declare, ready, values);
    for (std::size_t i = 0; i < blocks_under_way; ++i)
        fetch_block(first_block);
    by.flush(context_);
}

void cursor::fetch_block(int rows) {
    const std::string fetch = "fetch " + std::to_string(rows) + " from tenon_stream";
    exchange_->send({.operation = "fetch"}, [&](PGconn* to) {
        return PQsendQueryParams(to, fetch.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1);
    });
    exchange_->send({.operation = "fetch"}, [](PGconn* to) { return PQsendFlushRequest(to); });
    blocks_.push_back(rows);
}

void cursor::take_opening() {
    opening_ = false;
    exchange& by = *exchange_;
    if (session::refusal refused = session_.take_preface(by, preface_); refused.answer) {
        context_ = refused.context;
        end_refused(std::move(refused.answer));
    }
    constexpr int steps = 3; // savepoint, planning, DECLARE
    for (int step = 0; step < steps; ++step) {
        pg_result_ptr answer = by.answer(context_);
        if (is_refusal(answer))
            end_refused(std::move(answer));
        if (step == 1)
            planning_ = PQgetvalue(answer.get(), 0, 0);
    }
}

bool cursor::next_block(result& block) {
    require_seat();
    session_.require_time(context_);
    exchange& by = *exchange_;
    by.limit(session_.limit()); // it may have moved since
    if (opening_)
        take_opening();
    pg_result_ptr rows = by.answer(context_);
    if (is_refusal(rows))
        end_refused(std::move(rows));
    const int asked = blocks_.front();
    blocks_.pop_front();
    const int count = PQntuples(rows.get());
    rows_ += static_cast<std::uint64_t>(count);
    const bool more = count == asked;
    if (more) {
        const std::size_t row_bytes = PQresultMemorySize(rows.get()) / static_cast<std::size_t>(count) + 1;
        fetch_block(static_cast<int>(std::clamp<std::size_t>(block_bytes / row_bytes, 1, largest_block)));
        by.flush(context_);
    }
    block = result(rows.release());
    if (!more)
        close();
    return more;
}

// Behind the last row: takes the answers of the blocks that were asked for in advance, and ends everything.
void cursor::close() {
    exchange& by = *exchange_;
    const char* const fraction = planning_.c_str();
    by.send(context_, [](PGconn* to) { return send_text(to, "close tenon_stream"); });
    by.send(context_, [&](PGconn* to) {
        return PQsendQueryParams(to, restore_planning, 1, nullptr, &fraction, nullptr, nullptr, 0);
    });
    by.send(context_, [](PGconn* to) { return send_text(to, release_stream_savepoint); });
    by.sync(context_);
    constexpr std::size_t closing_statements = 3;
    for (std::size_t left = blocks_.size() + closing_statements; left > 0; --left)
        if (pg_result_ptr answer = by.answer(context_); is_refusal(answer)) {
            by.leave_pipeline(context_);
            const struct stands_up {
                cursor& self;
                ~stands_up() {
                    self.exchange_.reset();
                    self.stand_up();
                }
            } in_any_case{*this};
            session_.require_success(answer.get(), context_, by);
        }
    by.leave_pipeline(context_);
    session_.tell_statement(context_, since_, rows_, nullptr);
    exchange_.reset();
}

void cursor::end_refused(pg_result_ptr refused) {
    const struct stands_up {
        cursor& self;
        ~stands_up() {
            self.exchange_.reset();
            self.stand_up();
        }
    } in_any_case{*this};
    exchange& by = *exchange_;
    by.sync(context_);
    by.flush(context_);
    by.leave_pipeline(context_);
    try {
        session_.require_success(refused.get(), context_, by);
    } catch (const error& failure) {
        session_.tell_statement(context_, since_, rows_, &failure);
        throw;
    }
    by.fail(context_, "the server's answers are out of step");
}

// What is under way is soon here, or cancelled. Whether a cancellation came in time or not: the transaction is as it
// was before the stream, once what is owed here has run.
void cursor::wind_up(clock::time_point /*until*/) {
    const exchange_ends in_any_case{exchange_};
    if (!exchange_ || !session_.is_open())
        return;
    exchange& by = *exchange_;
    by.limit({.until = after(patience)});
    by.sync(context_);
    bool undone = !opening_; // what happened since the savepoint can be, and has to be
    session::refusal refused;
    if (opening_) {
        refused = session_.take_preface(by, preface_);
        undone = !refused.answer && !is_refusal(by.answer(context_));
    }
    by.leave_pipeline(context_);
    if (undone)
        owe_undo_of_stream(session_.transaction());
    session_.throw_refused(refused, by);
}

} // namespace tenon::detail
