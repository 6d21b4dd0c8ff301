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
    in_flight_.push_back({context, &answer});
    in_flight_.back().context.number = number;
}

void session::drain_pipeline() {
    if (PQpipelineSync(connection_) != 1)
        fail_lost({.operation = "pipeline"});
    flush({.operation = "pipeline"});
    try {
        if (std::exchange(begin_in_flight_, false))
            take_begin();
        for (const auto& [context, answer] : in_flight_)
            answer->take(result(take_answer(context).release()));
    } catch (const connection_lost&) {
        throw;
    } catch (const error& failure) {
        for (const auto& [context, answer] : in_flight_)
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
    if (PQsendQueryParams(connection_, "commit", 0, nullptr, nullptr, nullptr, nullptr, 0) != 1)
        fail_lost(context);
    committed_answer committed;
    in_flight_.push_back({context, &committed});
    try {
        drain_pipeline();
    } catch (const connection_lost& lost) {
        end_transaction();
        throw outcome_unknown(lost);
    } catch (const error&) {
        rollback();
        throw;
    }
    end_transaction();
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
}

} // namespace tenon
