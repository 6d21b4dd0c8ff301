#include <tenon/pg/deadline.hpp>

#include <algorithm>

#include "session_access.hpp"

namespace tenon {

deadline::deadline(transaction& tx, std::chrono::milliseconds within)
    : transaction_(tx), outer_(session_access::of(tx).transaction().deadline()) {
    session_access::of(tx).transaction().deadline(std::min(outer_, detail::after(within)));
}

deadline::~deadline() {
    if (transaction_.is_open()) // one of the transaction's has ended with it
        session_access::of(transaction_).transaction().deadline(outer_);
}

} // namespace tenon
