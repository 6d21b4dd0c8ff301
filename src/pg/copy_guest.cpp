#include "copy_guest.hpp"

#include <string>
#include <utility>

namespace tenon::detail {

void copy_guest::start(const statement& what, std::string_view first, ExecStatusType expected) {
    std::string text = session_.text_in_front();
    text.append(first).append(what.sql);
    exchange& by = exchange_.emplace(session_.line(), session_.limit());
    by.send(context_, [&](PGconn* on) { return PQsendQuery(on, text.c_str()); });
    session_.transaction().note_begin_sent();
    by.flush(context_);
    pg_result_ptr refused;
    while (pg_result_ptr part = by.next(context_)) {
        if (PQresultStatus(part.get()) == expected)
            return by.heard();
        if (PQresultStatus(part.get()) == PGRES_FATAL_ERROR && !refused)
            refused = std::move(part);
    }
    if (!refused || PQstatus(session_.line().raw()) != CONNECTION_OK)
        by.fail(context_);
    (void)conclude(std::move(refused));
}

std::uint64_t copy_guest::conclude(pg_result_ptr answer) {
    const struct stands_up {
        copy_guest& self;
        ~stands_up() {
            self.exchange_.reset();
            self.stand_up();
        }
    } in_any_case{*this};
    try {
        session_.require_success(answer.get(), context_, *exchange_);
    } catch (const error& failure) {
        session_.tell_statement(context_, since_, 0, &failure);
        throw;
    }
    const std::uint64_t rows = result(answer.release()).affected();
    session_.tell_statement(context_, since_, rows, nullptr);
    return rows;
}

} // namespace tenon::detail
