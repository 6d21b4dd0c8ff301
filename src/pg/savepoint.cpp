#include <tenon/pg/savepoint.hpp>

#include <atomic>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>

#include "session_access.hpp"

namespace tenon {

// Begin and end travel with the next statement, whatever it is; a part in which nothing was sent costs nothing.

savepoint::savepoint(transaction& tx) : transaction_(tx) {
    static std::atomic<unsigned long long> number{0};
    name_ = "tenon_" + std::to_string(++number);
    detail::session& on = session_access::of(transaction_);
    on.take_over();
    on.owe("savepoint " + name_);
}

savepoint::~savepoint() {
    if (!open_ || !transaction_.is_open())
        return;
    try {
        undo();
    } catch (const std::exception&) { // the session is lost, and the transaction with it
        open_ = false;
    }
}

void savepoint::release() {
    if (!open_)
        throw usage_error("this savepoint has ended already");
    detail::session& on = session_access::of(transaction_);
    on.take_over();
    if (on.line().status() == PQTRANS_INERROR && on.transaction().owed().empty())
        throw failed_transaction("release: a statement behind this savepoint has failed; roll back to it",
                                 {.sqlstate = std::string(sqlstate::in_failed_transaction)});
    open_ = false;
    if (!on.transaction().forgive("savepoint " + name_))
        on.owe("release savepoint " + name_);
}

void savepoint::rollback() {
    if (!open_)
        throw usage_error("this savepoint has ended already");
    session_access::of(transaction_).seat().require_free();
    undo();
}

void savepoint::undo() {
    open_ = false;
    detail::session& on = session_access::of(transaction_);
    if (on.transaction().forgive("savepoint " + name_) || on.transaction().is_unmade("savepoint " + name_))
        return;
    on.transaction().owe("rollback to savepoint " + name_);
    on.owe("release savepoint " + name_);
}

} // namespace tenon
