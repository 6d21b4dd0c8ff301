#include <tenon/pg/transaction.hpp>

#include <cstdlib>
#include <string>

#include <tenon/pg/pool.hpp>

#include "session.hpp"

namespace tenon {

transaction::transaction(connection& on, const transaction_options& how) : session_(on.session_.get()) {
    if (session_ == nullptr)
        throw usage_error("transaction: this connection was moved from");
    session_->begin(how);
}

transaction::transaction(pool& from, const transaction_options& how)
    : leased_(from.acquire()), session_(leased_->session_.get()) {
    session_->begin(how);
}

transaction::~transaction() {
    rollback();
}

void transaction::require_open() const {
    if (!open_)
        throw usage_error("this transaction has ended: begin another");
}

void transaction::commit() {
    require_open();
    open_ = false;
    session_->commit();
}

void transaction::rollback() noexcept {
    if (open_)
        session_->rollback();
    open_ = false;
}

std::uint64_t transaction::execute(std::string_view sql) {
    require_open();
    return std::strtoull(PQcmdTuples(session_->run_script(sql).get()), nullptr, 10);
}

result transaction::execute(const statement& what, parameters& values) {
    require_open();
    return session_->execute(what, values);
}

} // namespace tenon
