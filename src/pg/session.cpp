#include "session.hpp"

#include <exception>
#include <utility>

#include <tenon/codec/text.hpp>
#include <tenon/core/sqlstate.hpp>

#include "dial.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto giving_back = 2s;   // in all
constexpr auto debt_patience = 5s; // a server that does not even end a savepoint is given up

// RESET ALL restores what was set when connecting. DISCARD ALL would take tenon's own prepared statements, too: the
// names of others are told instead.
constexpr const char* reset_script =
    "set session authorization default; reset all; unlisten *; close all; discard temp; discard sequences;"
    " select pg_catalog.pg_advisory_unlock_all();"
    " select pg_catalog.string_agg('deallocate ' operator(pg_catalog.||) pg_catalog.quote_ident(name), '; ')"
    " from pg_catalog.pg_prepared_statements where name operator(pg_catalog.!~) '^tenon_([0-9]+|prelude)$'";

PGconn* dialled(const std::string& conninfo, const connection_options& options, std::string_view pool, host_role wanted,
                const std::stop_token& stop) {
    options.validate();
    const auto since = std::chrono::steady_clock::now();
    observer* const told = options.observer.get();
    try {
        PGconn* const opened = dial(conninfo, {.timeout = options.connect_timeout, .wanted = wanted, .stop = stop});
        if (told != nullptr)
            told->connected({.pool = pool,
                             .create = std::chrono::steady_clock::now() - since,
                             .error = {},
                             .response_status = {},
                             .role = role_of(opened)});
        return opened;
    } catch (const error& failure) {
        if (told != nullptr)
            told->connected({.pool = pool,
                             .create = std::chrono::steady_clock::now() - since,
                             .error = failure.what(),
                             .response_status = failure.sqlstate(),
                             .role = host_role::unknown});
        throw;
    }
}

constexpr const char* ended_by_sql =
    "the transaction was ended by other code on the same connection (COMMIT or ROLLBACK as SQL?): end it through "
    "tenon::transaction only";

} // namespace

session::session(const std::string& conninfo, const connection_options& options, std::string_view pool,
                 host_role wanted, const std::stop_token& stop)
    : options_(options),
      opened_at_(clock::now()),
      pool_(pool),
      wire_(dialled(conninfo, options, pool_, wanted, stop), options.response_timeout, options.statement_cache == 0),
      statements_(options.statement_cache) {}

session::~session() {
    peer.reset();
}

bool session::answers_ping(clock::time_point until) noexcept {
    try {
        (void)script("", {.until = until, .at_end = time_limit::end::give_up});
        return is_open();
    } catch (const std::exception&) {
        return false;
    }
}

void session::end_lease(pool_options::reset reset) noexcept {
    const auto until = clock::now() + giving_back;
    if (transaction_.is_open() || seat_.is_taken() || wire_.is_lent() || wire_.status() != PQTRANS_IDLE)
        rollback(until);
    wire_.settle_and_drain(until);
    const bool raw_use = std::exchange(raw_use_, false);
    if (!is_open())
        return;
    if (wire_.status() != PQTRANS_IDLE) // a statement is still under way
        return wire_.lose("it came back in the middle of a statement");
    if (reset == pool_options::reset::never || (reset == pool_options::reset::after_raw_sql && !raw_use))
        return;
    try {
        const time_limit limit{.until = until, .at_end = time_limit::end::give_up};
        const pg_result_ptr foreign = script(reset_script, limit);
        if (PQntuples(foreign.get()) == 1 && PQgetisnull(foreign.get(), 0, 0) == 0)
            (void)script(PQgetvalue(foreign.get(), 0, 0), limit);
    } catch (const std::exception&) { // nobody shall have it with somebody else's settings
        wire_.lose("its settings could not be reset");
    }
}

void session::look_before_use() {
    if (seat_.is_taken())
        make_way();
    wire_.require_open();
    if (transaction_.has_deadline() && clock::now() >= transaction_.deadline())
        throw deadline_exceeded("the deadline has passed: nothing was sent");
    if (transaction_.is_void())
        throw failed_transaction("an earlier statement failed: roll back and start again",
                                 {.sqlstate = std::string(sqlstate::in_failed_transaction)});
    if (wire_.is_lent())
        finish_foreign(limit());
    if (transaction_.is_open() && !transaction_.is_unsent() && wire_.status() == PQTRANS_IDLE)
        throw usage_error(ended_by_sql);
}

void session::make_way() {
    wire_.require_open();
    seat_.require_free();
    try {
        seat_.clear(clock::time_point::max());
    } catch (const connection_lost&) {
        throw;
    } catch (const error&) { // noted, and told by what is done next
        return;
    }
}

// libpqxx leaves the end of a COPY's answer to the next statement.
void session::finish_foreign(const time_limit& limit) {
    constexpr statement_context context{.operation = "statement of other code"};
    exchange rest(wire_, limit);
    while (const pg_result_ptr next = rest.next(context))
        if (const auto status = PQresultStatus(next.get()); status == PGRES_COPY_IN || status == PGRES_COPY_OUT)
            rest.fail(context, "its COPY is unfinished");
}

// The end of a savepoint or a stream heeds no deadline: other code would go on without it.
void session::settle_debts() {
    if (!transaction_.preface_due())
        return;
    const time_limit limit{.until = after(debt_patience), .at_end = time_limit::end::give_up};
    finish_foreign(limit);
    settle_preface(limit);
}

PGconn* session::lend_raw() {
    take_over();
    wire_.settle_and_drain();
    wire_.require_open();
    raw_use_ = true;
    transaction_.note_raw_sql();
    if (transaction_.preface_due())
        settle_preface(limit());
    seat_.clear_at_once([this] {
        try {
            make_way();
            settle_debts();
        } catch (const std::exception&) { // noted, and told by what is done next
            return;
        }
    });
    wire_.lend();
    return wire_.raw();
}

void session::note_success(const PGresult* answer, const statement_context& context, const exchange& by) {
    if (answer == nullptr || PQresultStatus(answer) != PGRES_FATAL_ERROR) {
        // A savepoint undid what had failed.
        if (wire_.status() == PQTRANS_INTRANS)
            transaction_.forget_failure();
        return;
    }
    const char* const field = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
    const std::string_view state = field != nullptr ? field : "";
    transaction_.note_failure(sentence_of(answer), state);
    // A server that was a primary and takes no writes any more is of no use to the pool.
    if (state == sqlstate::read_only_transaction && !transaction_.is_read_only() && role() != host_role::primary)
        lease.unwanted = true;
    if (by.cancelled() && state == sqlstate::query_canceled)
        throw deadline_exceeded(describe(context) + ": not done by its deadline, and cancelled",
                                properties_of(answer, context));
    throw_server_error(answer, context);
}

void session::tell_statement(const statement_context& context, clock::time_point since, std::uint64_t rows,
                             const error* failure) noexcept {
    observer* const told = options_.observer.get();
    if (told == nullptr)
        return;
    told->executed({.pool = pool_,
                    .operation = context.operation,
                    .collection = context.record != nullptr ? context.record->table : std::string_view(),
                    .response_status = failure != nullptr ? failure->sqlstate() : std::string_view(),
                    .failed = failure != nullptr,
                    .duration = clock::now() - since,
                    .wait = lease.wait,
                    .rows = rows,
                    .role = role()});
}

pg_result_ptr session::run_script(std::string_view sql) {
    take_over();
    return script(sql, limit());
}

pg_result_ptr session::script(std::string_view sql, const time_limit& limit) {
    std::string text = text_in_front();
    const bool begin = !text.empty();
    text.append(sql);
    refuse_nul(text);
    const statement_context context{.sql = sql, .operation = "statement"};
    exchange by(wire_, limit);
    const unsigned before = wire_.tags().begins_and_commits;
    by.send(context, [&](PGconn* on) { return PQsendQuery(on, text.c_str()); });
    if (begin)
        transaction_.note_begin_sent();
    pg_result_ptr answer;
    {
        const struct counts_begin { // also when the connection is lost behind it
            session& self;
            unsigned before;
            bool begin;
            ~counts_begin() { self.own_begins_ += begin && self.wire_.tags().begins_and_commits != before ? 1U : 0U; }
        } in_any_case{*this, before, begin};
        answer = by.answer(context);
    }
    if (begin && wire_.tags().begins_and_commits == before &&
        wire_.status() == PQTRANS_IDLE) // SQL that cannot be parsed keeps BEGIN from being run, too
        transaction_.note_void();
    require_success(answer.get(), context, by);
    return answer;
}

} // namespace tenon::detail
