#include <tenon/pg/pipeline.hpp>

#include <utility>

#include <tenon/pg/transaction.hpp>

#include "pipeline_guest.hpp"
#include "session_access.hpp"

namespace tenon {

namespace detail {

void throw_not_answered() {
    throw usage_error(
        "this answer is not there: ask a pending answer after the pipeline's block has ended without an error");
}

void pipeline_leave::operator()(pipeline_guest* of) const noexcept {
    guest::leave{}(of);
}

} // namespace detail

pipeline::pipeline(transaction& tx)
    : transaction_(tx),
      guest_(new detail::pipeline_guest(session_access::of(tx))),
      answers_(std::make_shared<detail::pipeline_answers>()) {}

pipeline::~pipeline() = default;

void pipeline::queue(const statement& what, parameters& values, std::unique_ptr<detail::pipeline_answer> own) {
    if (commit_)
        throw usage_error("pipeline: nothing can be queued behind commit");
    detail::pipeline_answer& place = *answers_->list.emplace_back(std::move(own));
    guest_->send(what, values, place, answers_->list.size());
}

void pipeline::commit() {
    commit_ = true;
}

void pipeline::finish() {
    {
        const transaction::follows_session in_any_case{transaction_};
        guest_->finish(commit_);
    }
    answers_->complete = true;
    if (commit_)
        transaction_.committed();
}

} // namespace tenon
