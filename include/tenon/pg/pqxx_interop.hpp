// libpqxx inside a tenon transaction. Opt-in: it includes libpqxx.
//
//     tenon::transaction tx{db};
//     users.insert(ada);
//     tenon::as_pqxx(tx).exec("refresh materialized view report");
//     tx.commit();
#pragma once

#include <pqxx/pqxx>

#include <tenon/pg/transaction.hpp>

namespace tenon {

/// The transaction as libpqxx sees it, on the same session; valid until `tx` ends. It cannot be committed
/// or aborted through libpqxx: that is for `tx` to do, which also notices statements that failed here.
/// Throws connection_lost when the session is broken.
[[nodiscard]] pqxx::dbtransaction& as_pqxx(transaction& tx);

} // namespace tenon
