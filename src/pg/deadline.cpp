#include <tenon/pg/deadline.hpp>

#include <algorithm>

#include "session.hpp"
#include "session_access.hpp"

namespace tenon {

deadline::deadline(transaction& tx, std::chrono::milliseconds within)
    : session_(session_access::of(tx)), outer_(session_.statement_deadline()) {
    session_.set_statement_deadline(std::min(outer_, std::chrono::steady_clock::now() + within));
}

deadline::~deadline() {
    session_.set_statement_deadline(outer_);
}

} // namespace tenon
