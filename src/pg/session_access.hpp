// The way from a transaction to its session.
#pragma once

#include <tenon/pg/transaction.hpp>

#include "session.hpp"

namespace tenon {

struct session_access {
    /// Throws usage_error when the transaction has ended.
    static detail::session& of(transaction& tx) {
        tx.require_open();
        return *tx.session_;
    }
};

} // namespace tenon
