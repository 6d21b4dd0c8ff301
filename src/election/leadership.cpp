#include <tenon/election/leadership.hpp>

#include <utility>

#include <tenon/core/error.hpp>

#include "candidacy.hpp"

namespace tenon {

namespace detail {

fenced_section::fenced_section(candidacy& of, const transaction_options& how) : candidacy_(of) {
    if (how.read_only)
        throw usage_error("leadership::transact: what only reads needs no fence: use pool::transact or read_only");
    candidacy_.enter();
}

fenced_section::~fenced_section() {
    candidacy_.leave_section();
}

pool& fenced_section::where() const noexcept {
    return candidacy_.where();
}

void fenced_section::fence(transaction& tx) const {
    candidacy_.fence(tx);
}

void fenced_section::note_rejection(const fenced_out& refused) const noexcept {
    candidacy_.note_rejection(refused);
}

} // namespace detail

leadership::leadership(std::shared_ptr<detail::candidacy> candidacy) noexcept : candidacy_(std::move(candidacy)) {}

leadership::leadership(leadership&&) noexcept = default;
leadership& leadership::operator=(leadership&& other) noexcept {
    std::swap(candidacy_, other.candidacy_);
    return *this;
}

leadership::~leadership() {
    if (candidacy_)
        candidacy_->part();
}

bool leadership::held() const noexcept {
    return candidacy_->held();
}

const fencing_token& leadership::token() const noexcept {
    return candidacy_->token();
}

boot_clock::time_point leadership::deadline() const noexcept {
    return candidacy_->deadline();
}

std::stop_token leadership::stop_token() const noexcept {
    return candidacy_->stop_token();
}

void leadership::resign() const noexcept {
    candidacy_->resign();
}

} // namespace tenon
