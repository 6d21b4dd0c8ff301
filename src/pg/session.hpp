// The session: one PGconn, its prepared statements and the state of its transaction.
//
// All traffic of the typed path goes through here, over libpq's non-blocking calls, so that every wait can
// have a deadline. Not thread-safe.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <tenon/codec/parameters.hpp>
#include <tenon/core/error.hpp>
#include <tenon/pg/connection.hpp>
#include <tenon/pg/detail/prelude.hpp>
#include <tenon/pg/pipeline.hpp>
#include <tenon/pg/pool.hpp>
#include <tenon/pg/result.hpp>
#include <tenon/pg/statement.hpp>

#include "server_error.hpp"
#include "type_catalog.hpp"

namespace tenon::detail {

struct pg_result_clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using pg_result_ptr = std::unique_ptr<PGresult, pg_result_clear>;

struct pq_free {
    void operator()(char* bytes) const noexcept { PQfreemem(bytes); }
};

/// What COPY sent in one message; no bytes at its end.
struct copy_message {
    std::unique_ptr<char, pq_free> bytes{};
    int size = 0;
};

/// What a pool keeps with a session.
struct lease_record {
    std::chrono::steady_clock::time_point lent_at{};
    std::chrono::steady_clock::time_point returned_at{};
    std::chrono::nanoseconds wait{}; ///< of the borrower
    caller where{};
    std::size_t place = 0; ///< in the list of lent sessions
    bool reported = false; ///< as lent for too long
    bool unwanted = false; ///< its server is not what the pool is for any more
    std::chrono::steady_clock::time_point lag_known_at{};
    std::chrono::milliseconds lag{};
};

class session {
public:
    using clock = std::chrono::steady_clock;

    /// Throws connection_failed. `pool` is its name in events.
    session(const std::string& conninfo, const connection_options& options, std::string_view pool = {},
            host_role wanted = host_role::unknown, const std::stop_token& stop = {});
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    ~session();

    [[nodiscard]] bool is_open() const noexcept { return !lost_ && PQstatus(connection_) == CONNECTION_OK; }
    /// Ends the session; the object stays, as a broken one.
    void close() noexcept;
    [[nodiscard]] int backend_pid() const noexcept { return PQbackendPID(connection_); }
    [[nodiscard]] int server_version() const noexcept { return PQserverVersion(connection_); }
    [[nodiscard]] clock::time_point opened_at() const noexcept { return opened_at_; }
    [[nodiscard]] host_role role() const noexcept;
    [[nodiscard]] std::string_view pool() const noexcept { return pool_; }
    [[nodiscard]] observer* told() const noexcept { return options_.observer.get(); }

    lease_record lease{};

    /// Looks at the socket without waiting (about 0.2 us): false when the server has hung up.
    [[nodiscard]] bool seems_alive() noexcept;

    /// A round trip for nothing; false when it is not answered in time.
    [[nodiscard]] bool answers_ping(clock::time_point until) noexcept;

    /// BEGIN, sent together with the first statement. Throws usage_error when a transaction is open.
    void begin(const transaction_options& how);
    /// See pg/detail/prelude.hpp.
    void lead_with(const prelude& first);
    void commit();
    void rollback() noexcept;
    /// Leaves nothing of a borrower's transaction behind, whoever began it, nor of what it set.
    void end_lease(pool_options::reset reset) noexcept;
    /// Raw SQL or other code may have set something that outlives the transaction.
    void note_raw_use() noexcept { raw_use_ = true; }

    /// Of the open transaction or the last one, when it keeps its id; else 0.
    [[nodiscard]] std::uint64_t transaction_id() const noexcept { return transaction_id_; }

    /// Prepares, checks and runs a statement.
    result execute(const statement& what, parameters& values);

    [[nodiscard]] clock::time_point statement_deadline() const noexcept { return statement_deadline_; }
    void set_statement_deadline(clock::time_point until) noexcept { statement_deadline_ = until; }

    /// Prepares and checks a statement without running it.
    void check(const statement& what);

    /// A run of statements that are sent without waiting. Between `begin_pipeline` and `end_pipeline` nothing else
    /// may use the session.
    void begin_pipeline();
    /// Sends one more; a statement that is new to the session first has the answers of those before it taken.
    /// `number` is the statement's place in the pipeline, from 1; its answer is given to `answer`.
    void send(const statement& what, parameters& values, pipeline_answer& answer, std::size_t number);
    /// Takes all answers; `commit` is sent behind them. Throws the first failure.
    void end_pipeline(bool commit);
    void abandon_pipeline() noexcept;

    /// Rows by a cursor; see row_source.
    void open_cursor(const statement& what, parameters& values);
    /// False when `block` is the last one, which may be empty; `stop_rows` then frees the session.
    [[nodiscard]] bool next_block(result& block, const statement_context& context);
    void start_copy_out(const statement& what);
    [[nodiscard]] copy_message next_copy_message(const statement_context& context);
    void stop_rows() noexcept;

    /// See copy_in; returns per field where its OIDs are this database's own.
    [[nodiscard]] std::vector<const server_type*> start_copy_in(const statement& what,
                                                                std::span<const std::size_t> fields);
    void put_copy(std::string_view bytes);
    std::uint64_t end_copy_in(const statement_context& context);
    void abort_copy_in() noexcept;

    [[nodiscard]] static statement_context context_of(const statement& what) noexcept {
        return {.sql = what.sql, .operation = what.operation, .record = what.record};
    }

    /// Raw SQL of the user's.
    result run_raw(std::string_view sql);
    /// Runs SQL without parameters by the simple protocol; answers what its last statement answered.
    pg_result_ptr run_script(std::string_view sql);

    /// Runs a constant query of tenon's own with one text parameter, rows in text format.
    pg_result_ptr query_text(const char* sql, const char* parameter);

    /// The PGconn in the state other code expects: blocking, transaction begun.
    PGconn* lend_raw();
    /// What an interop layer keeps per session; destroyed before the PGconn is closed.
    struct companion {
        companion() = default;
        companion(const companion&) = delete;
        companion& operator=(const companion&) = delete;
        virtual ~companion() = default;
        virtual void end_transaction() noexcept = 0;
    };
    std::unique_ptr<companion> peer{};

    /// libpq's notices are dropped rather than printed.
    void mute_notices() noexcept;

private:
    // The same text with other expected types is another statement: it has to be checked for itself. Looked up
    // without a copy of the text.
    template <class Text>
    struct cache_key {
        Text sql;
        const void* types;  // identity of the parameters' expected types
        const void* answer; // and of the result's: two records may be mapped to one table
        std::size_t hash;
        const char* origin; // of a constant text: its address spares the comparison
    };
    struct same_key {
        using is_transparent = void;
        bool operator()(const auto& a, const auto& b) const noexcept {
            return a.types == b.types && a.answer == b.answer &&
                   ((a.origin != nullptr && a.origin == b.origin) || a.sql == b.sql);
        }
    };
    struct hash_key {
        using is_transparent = void;
        std::size_t operator()(const auto& key) const noexcept { return key.hash; }
    };
    struct prepared {
        std::string name;
        std::vector<Oid> types{};                                           // of the parameters; 0 is inferred
        std::vector<std::pair<std::size_t, const server_type*>> own_oids{}; // parameters with OIDs of this database
        std::vector<int> formats{}; // of the parameters, where not all are binary
        std::uint64_t last_used = 0;
    };
    [[nodiscard]] static const int* formats_of(const prepared& ready);

    void require_open() const;
    [[nodiscard]] bool heard_farewell() noexcept;
    /// Before each use: open, and not in the middle of what other code did with the lent PGconn.
    void take_over();
    [[nodiscard]] prepared* find_prepared(const statement& what) noexcept;
    prepared& prepare(const statement& what);
    /// Sends `sql`, which has the parameters of a statement that was prepared.
    [[nodiscard]] bool send_with(const std::string& sql, const prepared& ready, parameters& values);
    [[nodiscard]] bool send_prepared(const statement& what, prepared& ready, parameters& values);
    const std::vector<oid>& check_record(const record_shape& record);
    void check_description(const statement& what, const PGresult* description);
    void make_room();

    void fetch_block(int rows);
    void close_cursor(const statement_context& context);
    void stop_copy_out(const statement_context& context);
    void start_copy(const statement& what, ExecStatusType expected);
    void require_same_types(const statement& what, std::span<const std::size_t> fields,
                            std::vector<const server_type*>* trees);
    void cancel() noexcept;
    void drain_pipeline();
    result take_told(const statement_context& context, clock::time_point sent_at);
    [[noreturn]] void refuse_commit();
    void enter_pipeline();
    void leave_pipeline(const statement_context& context);
    [[nodiscard]] bool send_begin(); // true when a BEGIN was due and is queued
    void take_begin();
    /// BEGIN is due, and so is what has to go with it: it cannot be put in front of other SQL as text.
    [[nodiscard]] bool begin_is_not_alone() const noexcept {
        return !pending_begin_.empty() && (keeps_id_ || prelude_ != nullptr);
    }
    [[nodiscard]] bool send_prelude();
    [[nodiscard]] result send_commit(const statement_context& context);
    /// Raw SQL that ends the transaction or begins another leaves one that is not ours: no fence, tenant or deadline.
    /// The session is given up, so that nothing more is run in it.
    template <class Run>
    result refusing_control(Run run) {
        controls_ = 0;
        watching_control_ = in_transaction_;
        try {
            result answer = run();
            watching_control_ = false;
            if (controls_ > 0)
                give_up_controlled();
            return answer;
        } catch (const error&) {
            watching_control_ = false;
            if (controls_ > 0)
                give_up_controlled();
            throw;
        }
    }
    [[noreturn]] void give_up_controlled();
    void take_prelude();
    void begin_now(); // for what cannot follow it in a pipeline
    [[noreturn]] void fail_unknown(const connection_lost& lost);
    result execute_once(const statement& what, parameters& values);
    void tell_end(transaction_event::end outcome) noexcept;
    void tell_statement(const statement_context& context, clock::time_point since, std::uint64_t rows,
                        const error* failure) noexcept;
    /// Tells the observer, if there is one, what became of a statement.
    template <class Run>
    result observed(const statement_context& context, Run run) {
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
    /// Sends one statement, with BEGIN in front where it is due, and takes its answer: one round trip.
    template <class Send>
    pg_result_ptr exchange(const statement_context& context, Send send) {
        if (pending_begin_.empty()) {
            if (!send())
                fail_lost(context);
            return take_answer(context);
        }
        return in_pipeline(context, [&] {
            if (!send_begin() || !send() || PQpipelineSync(connection_) != 1)
                fail_lost(context);
            take_begin();
            return take_answer(context);
        });
    }
    /// Leaves the pipeline behind `action`, whether its statements failed or not.
    template <class Action>
    auto in_pipeline(const statement_context& context, Action action) {
        enter_pipeline();
        try {
            auto answer = action();
            leave_pipeline(context);
            return answer;
        } catch (const connection_lost&) {
            throw;
        } catch (const error&) {
            leave_pipeline(context);
            throw;
        }
    }

    void flush(const statement_context& context);
    void wait(short events, clock::time_point& until, const statement_context& context);
    [[nodiscard]] clock::time_point deadline() const noexcept;
    [[nodiscard]] pg_result_ptr next_result(clock::time_point& until, const statement_context& context);
    /// The answer to one statement: reads to its end and throws what went wrong.
    pg_result_ptr take_answer(const statement_context& context);
    [[noreturn]] void throw_failure(const PGresult* answer, const statement_context& context);
    [[noreturn]] void fail_lost(const statement_context& context, std::string_view reason = {},
                                error_properties properties = {});
    void note_failure(const PGresult* answer);
    void end_transaction() noexcept;
    bool forget(std::string_view sql, const record_shape* record, std::string_view state);

    PGconn* connection_ = nullptr;
    connection_options options_;
    clock::time_point opened_at_;
    bool lost_ = false;
    clock::time_point statement_deadline_ = clock::time_point::max();
    bool cancelled_ = false; // by the deadline; until the answer has come
    static constexpr auto rollback_patience =
        std::chrono::seconds(5);                                  // a server that cannot even roll back is given up
    static constexpr auto cancel_grace = std::chrono::seconds(1); // for the server to react to a cancellation
    // What occupies the session between calls.
    enum class occupation { none, rows, copy_in, copy_out };
    occupation occupied_ = occupation::none;
    // A stream that is left early is cancelled, which would fail the transaction but for this.
    static constexpr const char* stream_savepoint = "savepoint tenon_stream";
    static constexpr const char* release_stream_savepoint = "release savepoint tenon_stream";
    static constexpr const char* undo_stream_savepoint =
        "rollback to savepoint tenon_stream; release savepoint tenon_stream";

    // All rows will be read, so the plan for the first ones is not wanted. Answers what the setting was.
    static constexpr const char* plan_for_all_rows = "select pg_catalog.current_setting('cursor_tuple_fraction'),"
                                                     " pg_catalog.set_config('cursor_tuple_fraction', '1', true)";
    static constexpr const char* restore_planning = "select pg_catalog.set_config('cursor_tuple_fraction', $1, true)";
    clock::time_point bulk_since_{}; // of a stream or COPY, where an observer wants to know
    std::uint64_t bulk_rows_ = 0;
    std::deque<int> blocks_;      // rows asked for, per block under way
    bool opening_ = false;        // the answers in front of the first block are not taken yet
    bool opening_begins_ = false; // with that of BEGIN
    std::string cursor_fraction_;

    bool lent_ = false; // other code uses the PGconn in this transaction, too
    std::string lost_reason_;

    bool in_transaction_ = false;
    bool raw_use_ = false;
    bool keeps_id_ = false;
    bool read_only_ = false; // the transaction, by its options
    std::uint64_t transaction_id_ = 0;
    clock::time_point began_at_{};
    std::string pool_;
    std::string_view pending_begin_{};
    const prelude* prelude_ = nullptr; // travels with it
    bool prelude_prepared_ = false;
    const prelude* led_by_ = nullptr; // what the transaction began with
    bool watching_control_ = false;
    int controls_ = 0; // answers to BEGIN, COMMIT and the like
    struct queued_statement {
        statement_context context;
        pipeline_answer* answer;
        clock::time_point sent_at{}; // where an observer wants to know
    };
    std::vector<queued_statement> in_flight_; // statements of a pipeline that are not answered yet
    bool begin_in_flight_ = false;
    std::string first_failure_; // why COMMIT will be refused
    std::string first_failure_state_;

    std::unordered_map<cache_key<std::string>, prepared, hash_key, same_key> statements_;
    std::uint64_t uses_ = 0;
    std::uint64_t names_ = 0;
    std::unordered_map<const record_shape*, std::vector<oid>> checked_records_; // with their columns' types
    type_catalog types_;
};

} // namespace tenon::detail
