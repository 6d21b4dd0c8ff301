#include <tenon/pg/pipeline.hpp>

#include <utility>

#include <tenon/pg/transaction.hpp>

#include "session.hpp"

namespace tenon {

namespace detail {

void throw_not_answered() {
    throw usage_error(
        "this answer is not there: ask a pending answer after the pipeline's block has ended without an error");
}

namespace {

struct committed_answer final : pipeline_answer {
    bool done = false;
    void take(const result& rows) noexcept override { done = rows.command() == "COMMIT"; }
};

} // namespace

void session::begin_pipeline() {
    take_over();
    in_flight_.clear();
    enter_pipeline();
    begin_in_flight_ = send_begin();
}

void session::send(const statement& what, parameters& values, pipeline_answer& answer, std::size_t number) {
    const statement_context context = context_of(what);
    prepared* ready = find_prepared(what);
    if (ready == nullptr) {
        // Preparing has answers of its own, so it cannot happen in the middle.
        if (begin_in_flight_ || !in_flight_.empty())
            drain_pipeline();
        else if (PQexitPipelineMode(connection_) != 1)
            fail_lost(context);
        ready = &prepare(what);
        enter_pipeline();
    }
    if (!send_prepared(what, *ready, values))
        fail_lost(context);
    in_flight_.push_back({context, &answer, options_.observer ? clock::now() : clock::time_point{}});
    in_flight_.back().context.number = number;
}

result session::take_told(const statement_context& context, clock::time_point sent_at) {
    try {
        result rows(take_answer(context).release());
        tell_statement(context, sent_at, rows.empty() ? rows.affected() : rows.size(), nullptr);
        return rows;
    } catch (const error& failure) {
        tell_statement(context, sent_at, 0, &failure);
        throw;
    }
}

void session::drain_pipeline() {
    if (PQpipelineSync(connection_) != 1)
        fail_lost({.operation = "pipeline"});
    flush({.operation = "pipeline"});
    try {
        if (std::exchange(begin_in_flight_, false))
            take_begin();
        for (const auto& [context, answer, sent_at] : in_flight_)
            answer->take(take_told(context, sent_at));
    } catch (const connection_lost&) {
        throw;
    } catch (const error& failure) {
        for (const auto& [context, answer, sent_at] : in_flight_)
            (void)forget(context.sql, context.record, failure.sqlstate());
        in_flight_.clear();
        leave_pipeline({.operation = "pipeline"});
        throw;
    }
    in_flight_.clear();
    leave_pipeline({.operation = "pipeline"});
}

void session::end_pipeline(bool commit) {
    constexpr statement_context context{.sql = "commit", .operation = "commit"};
    if (!commit) {
        drain_pipeline();
        return;
    }
    if (led_by_ != nullptr && raw_use_) { // it has to pass the fence again: see send_commit
        try {
            drain_pipeline();
        } catch (const error&) {
            rollback();
            throw;
        }
        session::commit();
        return;
    }
    if (PQsendQueryParams(connection_, "commit", 0, nullptr, nullptr, nullptr, nullptr, 0) != 1)
        fail_lost(context);
    committed_answer committed;
    in_flight_.push_back({context, &committed, options_.observer ? clock::now() : clock::time_point{}});
    try {
        drain_pipeline();
    } catch (const connection_lost& lost) {
        end_transaction();
        fail_unknown(lost);
    } catch (const error&) {
        rollback();
        throw;
    }
    end_transaction();
    tell_end(committed.done ? transaction_event::end::committed : transaction_event::end::rolled_back);
    if (!committed.done)
        refuse_commit();
}

void session::abandon_pipeline() noexcept {
    if (PQpipelineStatus(connection_) == PQ_PIPELINE_OFF)
        return;
    try {
        drain_pipeline();
    } catch (const std::exception&) { // the block's own error is the one to tell
        return;
    }
}

} // namespace detail

pipeline::pipeline(transaction& tx)
    : transaction_(tx), session_(*tx.session_), answers_(std::make_shared<detail::pipeline_answers>()) {
    tx.require_open();
    session_.begin_pipeline();
}

pipeline::~pipeline() {
    session_.abandon_pipeline();
}

void pipeline::queue(const statement& what, parameters& values, std::unique_ptr<detail::pipeline_answer> own) {
    if (commit_)
        throw usage_error("pipeline: nothing can be queued behind commit");
    detail::pipeline_answer& place = *answers_->list.emplace_back(std::move(own));
    session_.send(what, values, place, answers_->list.size());
}

void pipeline::commit() {
    commit_ = true;
}

void pipeline::finish() {
    if (commit_)
        transaction_.open_ = false;
    session_.end_pipeline(commit_);
    answers_->complete = true;
    if (commit_)
        transaction_.committed();
}

} // namespace tenon
