#include <tenon/pg/detail/prelude.hpp>

#include <tenon/core/error.hpp>

#include "session_access.hpp"

namespace tenon::detail {

void lead_with(transaction& tx, const prelude& first) {
    session_access::of(tx).lead_with(first);
}

void session::lead_with(const prelude& first) {
    if (pending_begin_.empty())
        throw usage_error("a statement was executed already: this one has to be the transaction's first");
    prelude_ = &first;
    led_by_ = &first;
}

bool session::send_prelude() {
    constexpr const char* name = "tenon_prelude";
    const int count = static_cast<int>(prelude_->values.size());
    const char* const* const values = prelude_->values.data();
    if (options_.statement_cache == 0)
        return PQsendQueryParams(connection_, prelude_->sql, count, nullptr, values, nullptr, nullptr, 0) == 1;
    return (prelude_prepared_ || PQsendPrepare(connection_, name, prelude_->sql, 0, nullptr) == 1) &&
           PQsendQueryPrepared(connection_, name, count, values, nullptr, nullptr, 0) == 1;
}

void session::take_prelude() {
    const statement_context context{.sql = prelude_->sql, .operation = "fence"};
    prelude_ = nullptr;
    if (options_.statement_cache != 0 && !prelude_prepared_) {
        (void)take_answer(context);
        prelude_prepared_ = true;
    }
    try {
        (void)take_answer(context);
    } catch (const error& failure) {
        if (failure.sqlstate() == "26000") // DEALLOCATE ALL took it, too
            prelude_prepared_ = false;
        throw;
    }
}

} // namespace tenon::detail
