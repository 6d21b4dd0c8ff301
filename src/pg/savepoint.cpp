#include <tenon/pg/savepoint.hpp>

#include <atomic>

#include <tenon/core/error.hpp>

#include "session_access.hpp"

namespace tenon {

savepoint::savepoint(transaction& tx) : transaction_(tx) {
    static std::atomic<unsigned long long> number{0};
    name_ = "tenon_" + std::to_string(++number);
    (void)session_access::of(transaction_).run_script("savepoint " + name_);
}

savepoint::~savepoint() {
    if (!open_ || !transaction_.is_open())
        return;
    try {
        rollback();
    } catch (const std::exception&) { // the session is lost, and the transaction with it
        open_ = false;
    }
}

void savepoint::release() {
    if (!open_)
        throw usage_error("this savepoint has ended already");
    (void)session_access::of(transaction_).run_script("release savepoint " + name_);
    open_ = false;
}

void savepoint::rollback() {
    if (!open_)
        throw usage_error("this savepoint has ended already");
    open_ = false;
    (void)session_access::of(transaction_)
        .run_script("rollback to savepoint " + name_ + "; release savepoint " + name_);
}

} // namespace tenon
