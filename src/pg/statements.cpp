// How a statement is sent: prepared once, checked once, run often.
#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include <tenon/codec/text.hpp>
#include <tenon/core/sqlstate.hpp>

#include "session.hpp"

namespace tenon::detail {

namespace {

constexpr std::string_view unknown_statement = "26000"; // invalid_sql_statement_name: DEALLOCATE took it
constexpr std::size_t most_parameters = 65'535;         // the protocol counts them in 16 bits

// Formats where they are the same for every parameter: binary.
const int* binary_formats(std::size_t count) {
    static constexpr auto few = [] {
        std::array<int, 64> list{};
        list.fill(1);
        return list;
    }();
    if (count <= few.size())
        return few.data();
    // Never destroyed: statements may be run while statics are.
    static const auto& many = *new std::vector<int>(most_parameters, 1); // NOLINT(cppcoreguidelines-owning-memory)
    return many.data();
}

const int* formats_of(const prepared& ready) {
    return ready.formats.empty() ? binary_formats(ready.types.size()) : ready.formats.data();
}

bool has_word(std::string_view text, std::string_view lower_case) {
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    return std::search(text.begin(), text.end(), lower_case.begin(), lower_case.end(), same) != text.end();
}

} // namespace

/// Sends one statement, with what is due in front of it, and takes its answer: one round trip.
pg_result_ptr session::round_trip(const statement_context& context, auto send) {
    exchange by(wire_, limit());
    if (!transaction_.preface_due()) {
        send(by);
        return taken(by, context);
    }
    by.enter_pipeline(context);
    const preface first = send_preface(by);
    send(by);
    by.sync(context);
    const refusal refused = take_preface(by, first);
    pg_result_ptr answer = refused.answer ? nullptr : by.answer(context);
    by.leave_pipeline(context);
    throw_refused(refused, by);
    require_success(answer.get(), context, by);
    return answer;
}

prepared& session::ready(const statement& what) {
    prepared* const found = statements_.find(what);
    return found != nullptr ? *found : prepare(what);
}

prepared& session::prepare(const statement& what) {
    const statement_context context = context_of(what);
    if (what.parameters.size() > most_parameters)
        throw usage_error(describe(context) + ": a statement can have at most 65,535 parameters");
    if (what.record != nullptr)
        (void)checks_.record(*this, *what.record);

    prepared made{.name = statements_.next_name()};
    const std::string sql(what.sql);
    refuse_nul(sql);
    for (const value_shape* shape : what.parameters)
        made.types.push_back(has_own_oid(*shape) ? 0 : shape->type.id);
    if (std::ranges::any_of(what.parameters, &value_shape::text_format))
        for (const value_shape* shape : what.parameters)
            made.formats.push_back(shape->text_format ? 0 : 1);

    pg_result_ptr description;
    {
        statements_.make_room();
        exchange by(wire_, limit());
        by.enter_pipeline(context);
        const preface first = send_preface(by);
        // What the cache has dropped goes now, unless the transaction has failed: then nothing is possible.
        const std::size_t dropped = wire_.status() == PQTRANS_INERROR ? 0 : statements_.dropped().size();
        for (std::size_t i = 0; i < dropped; ++i)
            by.send(context, [&](PGconn* on) {
                const std::string drop = "deallocate " + statements_.dropped()[i];
                return PQsendQueryParams(on, drop.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
            });
        by.send(context, [&](PGconn* on) {
            return PQsendPrepare(on, made.name.c_str(), sql.c_str(), static_cast<int>(made.types.size()),
                                 made.types.data());
        });
        by.send(context, [&](PGconn* on) { return PQsendDescribePrepared(on, made.name.c_str()); });
        by.sync(context);

        const refusal refused = take_preface(by, first);
        const auto failed = [&] { return PQresultStatus(description.get()) == PGRES_FATAL_ERROR; };
        bool stays = !refused.answer;
        for (std::size_t i = 0; i < dropped && stays; ++i) {
            description = by.answer(context);
            stays = !failed();
            if (stays)
                statements_.note_dropped(1);
        }
        bool prepares = false;
        if (stays) {
            description = by.answer(context);
            prepares = !failed();
        }
        if (prepares)
            description = by.answer(context);
        by.leave_pipeline(context);
        throw_refused(refused, by);
        try {
            require_success(description.get(), context, by);
        } catch (const error& failure) {
            if (prepares)
                statements_.drop(std::move(made.name));
            (void)forget(what.sql, what.record, failure);
            throw;
        }
    }
    try {
        checks_.description(*this, what, description.get());
        made.own_oids = checks_.own_oids(*this, what, description.get());
    } catch (const error&) {
        statements_.drop(std::move(made.name));
        throw;
    }
    return statements_.add(what, std::move(made));
}

bool session::forget(std::string_view sql, const record_shape* record, const error& refused) {
    if (refused.sqlstate() == unknown_statement) {
        const bool own = refused.server_message().find("tenon_") != std::string_view::npos; // named in every language
        if (own)
            forget_all();
        return own;
    }
    if (!statements_.forget(sql, refused.sqlstate()))
        return false;
    checks_.forget(record);
    return true;
}

void session::forget_all() {
    (void)statements_.forget({}, unknown_statement);
    fence_prepared_ = false;
}

void session::send_with(exchange& by, const statement_context& context, const std::string& sql, const prepared& ready,
                        parameters& values) {
    for (const auto& [index, tree] : ready.own_oids)
        values.set_oids(index, *tree);
    by.send(context, [&](PGconn* on) {
        return PQsendQueryParams(on, sql.c_str(), static_cast<int>(values.size()), ready.types.data(), values.values(),
                                 values.lengths(), formats_of(ready), 1);
    });
}

void session::send_prepared(exchange& by, const statement_context& context, prepared& ready, parameters& values) {
    if (!statements_.keeps_on_server())
        return send_with(by, context, std::string(context.sql), ready, values);
    for (const auto& [index, tree] : ready.own_oids)
        values.set_oids(index, *tree);
    by.send(context, [&](PGconn* on) {
        return PQsendQueryPrepared(on, ready.name.c_str(), static_cast<int>(values.size()), values.values(),
                                   values.lengths(), formats_of(ready), 1);
    });
}

void session::check(const statement& what) {
    take_over();
    (void)ready(what);
}

/// Tells the observer, if there is one, what became of a statement.
result session::observed(const statement_context& context, auto run) {
    if (!options_.observer)
        return run();
    const auto since = clock::now();
    try {
        result answer = run();
        tell_statement(context, since, answer.empty() ? answer.affected() : answer.size(), nullptr);
        return answer;
    } catch (const error& failure) {
        tell_statement(context, since, 0, &failure);
        throw;
    }
}

result session::execute(const statement& what, parameters& values) {
    if (what.record != nullptr && what.constant && !options_.observer)
        return execute_once(what, values);
    if (what.record == nullptr || !what.constant) {
        raw_use_ = true;
        transaction_.note_raw_sql();
    }
    return observed(context_of(what), [&] {
        return what.record != nullptr ? execute_once(what, values)
                                      : refusing_control(what.sql, [&] { return execute_once(what, values); });
    });
}

result session::execute_once(const statement& what, parameters& values) {
    take_over();
    const std::string_view begin = transaction_.begin_text();
    const prelude* const fence = transaction_.fence_due();
    const bool first = !begin.empty() && transaction_.owed().empty();
    for (bool again = false;; again = true) {
        try {
            prepared& found = ready(what); // what is dropped to make room for it may not be there any more
            const statement_context context = context_of(what);
            return result(
                round_trip(context, [&](exchange& by) { send_prepared(by, context, found, values); }).release());
        } catch (const error& failure) {
            // The server dropped the statement or may not use it any more. The next use prepares anew, and this one
            // does where the transaction had only just begun, so that nothing is run twice.
            if (!forget(what.sql, what.record, failure) || again || !first)
                throw;
        }
        (void)script("rollback", {});
        transaction_.take_begin_back(begin, fence);
    }
}

pg_result_ptr session::query_text(const char* sql, const char* parameter) {
    const statement_context context{.sql = sql, .operation = "catalog query"};
    return round_trip(context, [&](exchange& by) {
        by.send(context,
                [&](PGconn* on) { return PQsendQueryParams(on, sql, 1, nullptr, &parameter, nullptr, nullptr, 0); });
    });
}

result session::run_raw(std::string_view sql) {
    raw_use_ = true;
    transaction_.note_raw_sql();
    return observed({.sql = sql, .operation = "statement"},
                    [&] { return refusing_control(sql, [&] { return result(run_script(sql).release()); }); });
}

/// Raw SQL that ends the transaction or begins another leaves one that is not ours: no fence, tenant or deadline. The
/// session is given up then, so that nothing more is run in it.
result session::refusing_control(std::string_view sql, auto run) {
    if (!transaction_.is_open())
        return run();
    // ROLLBACK AND CHAIN alone cannot be told from one to a savepoint by what the server answers.
    const bool may_chain = has_word(sql, "chain");
    if (may_chain)
        take_over(); // it is asked below
    const std::string began = may_chain ? transaction_began() : std::string();
    const auto foreign = [this] { return wire_.tags().begins_and_commits - own_begins_; };
    const auto ended = [this] {
        return is_open() && !transaction_.is_unsent() && !transaction_.is_void() && wire_.status() == PQTRANS_IDLE;
    };
    const bool ended_before = ended(); // by other code: that is told elsewhere
    const unsigned before = foreign();
    const unsigned rollbacks = wire_.tags().rollbacks;
    const auto look = [&] {
        if (std::exchange(wire_.tags().deallocated_all, false))
            forget_all();
        return foreign() != before || (ended() && !ended_before);
    };
    result answer;
    try {
        answer = run();
    } catch (const error&) {
        if (look())
            give_up_controlled();
        throw;
    }
    if (look() || (may_chain && wire_.tags().rollbacks != rollbacks && transaction_began() != began))
        give_up_controlled();
    return answer;
}

// Empty where it cannot be told, in a transaction that has failed.
std::string session::transaction_began() {
    if (wire_.status() == PQTRANS_INERROR)
        return {};
    return PQgetvalue(
        query_text("select pg_catalog.now()::pg_catalog.text where $1::pg_catalog.text is null", nullptr).get(), 0, 0);
}

void session::give_up_controlled() {
    wire_.lose("SQL ended its transaction, or began another");
    throw usage_error(
        "transaction control as SQL (BEGIN, COMMIT, ROLLBACK, PREPARE TRANSACTION) inside of a tenon::transaction: the "
        "connection was given up; what SQL stored outside of the transaction stays");
}

} // namespace tenon::detail
