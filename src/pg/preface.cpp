// What travels in front of a statement, in the same round trip: BEGIN, the question for the transaction's id, the
// fence, and what is owed.
#include <cstdlib>

#include "session.hpp"
#include "session_access.hpp"

namespace tenon::detail {

namespace {

constexpr const char* prelude_name = "tenon_prelude";
constexpr const char* ask_id = "select pg_catalog.pg_current_xact_id()";

int send_text(PGconn* on, const char* sql) {
    return PQsendQueryParams(on, sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
}

} // namespace

void lead_with(tenon::transaction& tx, const prelude& first) {
    session_access::of(tx).lead_with(first);
}

void session::lead_with(const prelude& first) {
    if (!transaction_.is_unsent())
        throw usage_error("a statement was executed already: this one has to be the transaction's first");
    transaction_.lead_with(first);
}

session::preface session::send_preface(exchange& by) {
    constexpr statement_context context{.operation = "begin"};
    preface sent;
    if (transaction_.is_unsent()) {
        sent.begin = transaction_.begin_text();
        by.send(context, [&](PGconn* on) { return send_text(on, sent.begin.data()); }); // ends in NUL
        sent.with_id = transaction_.keeps_id();
        if (sent.with_id)
            by.send(context, [](PGconn* on) { return send_text(on, ask_id); });
        sent.fence = transaction_.fence_due();
        if (sent.fence != nullptr)
            sent.fence_prepared = send_fence(by, *sent.fence);
        transaction_.note_begin_sent();
        transaction_.note_fence_sent();
    }
    sent.owed = transaction_.take_owed();
    for (const std::string& sql : sent.owed)
        by.send(context, [&](PGconn* on) { return send_text(on, sql.c_str()); });
    if (!sent.owed.empty() && transaction_.has_deadline()) // so that it is known when they are done
        by.send(context, [](PGconn* on) { return PQsendFlushRequest(on); });
    return sent;
}

session::refusal session::take_preface(exchange& by, const preface& sent) {
    refusal refused = take_begin(by, sent);
    // A deadline is for what follows: a savepoint that were ended by it could undo nothing.
    const exchange::sparing these{by};
    bool undoes = false;
    for (const std::string& sql : sent.owed) {
        if (!refused.answer) {
            pg_result_ptr answer = by.answer({.sql = sql, .operation = "savepoint"});
            if (PQresultStatus(answer.get()) == PGRES_FATAL_ERROR)
                refused = {.answer = std::move(answer), .context = {.sql = "savepoint", .operation = "savepoint"}};
            undoes = undoes || sql.starts_with("rollback");
        }
        if (refused.answer && sql.starts_with("savepoint"))
            transaction_.note_unmade(sql);
    }
    if (undoes && !refused.answer)
        transaction_.forget_failure();
    return refused;
}

session::refusal session::take_begin(exchange& by, const preface& sent) {
    const auto take = [&](const statement_context& context) -> refusal {
        pg_result_ptr answer = by.answer(context);
        if (PQresultStatus(answer.get()) == PGRES_FATAL_ERROR)
            return {.answer = std::move(answer), .context = context};
        if (context.operation == "id of the transaction")
            transaction_.id(std::strtoull(PQgetvalue(answer.get(), 0, 0), nullptr, 10));
        return {};
    };
    if (!sent.begin.empty()) {
        if (refusal refused = take({.sql = sent.begin, .operation = "begin"}); refused.answer)
            return refused;
        ++own_begins_;
    }
    if (sent.with_id)
        if (refusal refused = take({.sql = ask_id, .operation = "id of the transaction"}); refused.answer)
            return refused;
    return sent.fence != nullptr ? take_fence(by, *sent.fence, sent.fence_prepared) : refusal{};
}

void session::settle_preface(const time_limit& limit) {
    constexpr statement_context context{.operation = "begin"};
    exchange by(wire_, limit);
    by.enter_pipeline(context);
    const preface sent = send_preface(by);
    by.sync(context);
    const refusal refused = take_preface(by, sent);
    by.leave_pipeline(context);
    throw_refused(refused, by);
}

std::string session::text_in_front() {
    if (!transaction_.preface_due())
        return {};
    if (transaction_.is_unsent() && !transaction_.keeps_id() && transaction_.fence_due() == nullptr &&
        transaction_.owed().empty())
        return std::string(transaction_.begin_text()) + ";";
    settle_preface(limit());
    return {};
}

// True when it is prepared by the way.
bool session::send_fence(exchange& by, const prelude& fence) {
    const statement_context context{.sql = fence.sql, .operation = "fence"};
    const int count = static_cast<int>(fence.values.size());
    const char* const* const values = fence.values.data();
    if (!statements_.keeps_on_server()) {
        by.send(context, [&](PGconn* on) {
            return PQsendQueryParams(on, fence.sql, count, nullptr, values, nullptr, nullptr, 0);
        });
        return false;
    }
    const bool prepares = !fence_prepared_;
    if (prepares)
        by.send(context, [&](PGconn* on) { return PQsendPrepare(on, prelude_name, fence.sql, 0, nullptr); });
    by.send(context,
            [&](PGconn* on) { return PQsendQueryPrepared(on, prelude_name, count, values, nullptr, nullptr, 0); });
    return prepares;
}

session::refusal session::take_fence(exchange& by, const prelude& fence, bool prepared_now) {
    const statement_context context{.sql = fence.sql, .operation = "fence"};
    const auto take = [&]() -> refusal {
        pg_result_ptr answer = by.answer(context);
        if (PQresultStatus(answer.get()) != PGRES_FATAL_ERROR)
            return {};
        const char* const state = PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
        if (state != nullptr && std::string_view(state) == "26000" &&
            std::string_view(PQresultErrorField(answer.get(), PG_DIAG_MESSAGE_PRIMARY)).find(prelude_name) !=
                std::string_view::npos) // DEALLOCATE ALL took it, too
            fence_prepared_ = false;
        return {.answer = std::move(answer), .context = context};
    };
    if (prepared_now) {
        if (refusal refused = take(); refused.answer)
            return refused;
        fence_prepared_ = true;
    }
    return take();
}

} // namespace tenon::detail
