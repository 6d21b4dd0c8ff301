// What tenon tells about its work: the one interface behind metrics, traces and logs.
//
// Derive from `observer`, override what is of interest, and give it to `connection_options::observer`. Without one
// nothing is measured. Names follow OpenTelemetry's semantic conventions for databases (1.44): an event's members say
// which metric or attribute they are meant for. Operation and collection come from the repository that made the
// statement, never from its text; no event holds a parameter value.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace tenon {

/// What a server was when it was last heard of.
enum class host_role { unknown, primary, replica };

/// A borrower got a connection from a pool, or gave up.
struct acquire_event {
    std::string_view pool;         ///< db.client.connection.pool.name
    std::chrono::nanoseconds wait; ///< db.client.connection.wait_time
    bool timed_out;                ///< counts for db.client.connection.timeouts
};

/// A borrower gave a connection back.
struct release_event {
    std::string_view pool;        ///< db.client.connection.pool.name
    std::chrono::nanoseconds use; ///< db.client.connection.use_time
};

/// A session was opened, or could not be.
struct connect_event {
    std::string_view pool;            ///< empty for a connection of its own
    std::chrono::nanoseconds create;  ///< db.client.connection.create_time
    std::string_view error;           ///< why not; empty when it was opened
    std::string_view response_status; ///< db.response.status_code: SQLSTATE of the refusal, where there was one
    host_role role;                   ///< of the server that answered
};

/// A statement was answered, or failed.
struct statement_event {
    std::string_view pool;             ///< empty for a connection of its own
    std::string_view operation;        ///< db.operation.name: "insert into"; "statement" for raw SQL
    std::string_view collection;       ///< db.collection.name: the table; empty for raw SQL. With the operation before
                                       ///< it, db.query.summary
    std::string_view response_status;  ///< db.response.status_code: SQLSTATE; empty when it succeeded
    bool failed;                       ///< also when the connection was lost and no SQLSTATE is there
    std::chrono::nanoseconds duration; ///< db.client.operation.duration
    std::chrono::nanoseconds wait;     ///< what its borrower had waited for the connection
    std::uint64_t rows;                ///< db.client.response.returned_rows, or rows that were changed
    host_role role;
};

/// A transaction ended.
struct transaction_event {
    std::string_view pool;
    enum class end { committed, rolled_back, unknown } outcome;
    std::chrono::nanoseconds duration; ///< from its begin
};

/// `transact` runs its body again.
struct retry_event {
    std::string_view pool;            ///< empty for a connection of its own
    int attempt;                      ///< the one that failed, from 1
    std::string_view response_status; ///< SQLSTATE of the failure
    std::chrono::nanoseconds pause;   ///< before the next attempt
};

/// A connection has been lent for longer than `pool_options::leak_after`.
struct leak_event {
    std::string_view pool;
    const char* file; ///< where it was acquired
    int line;
    std::chrono::nanoseconds held;
};

/// How a leader's term ended for it.
enum class term_end {
    resigned,      ///< by `resign`, or because the leadership was dropped
    stopped,       ///< the campaign's stop was requested
    preferred,     ///< for a candidate that was asked for
    excluded,      ///< may lead no more
    session_lost,  ///< the server or the network ended the election's session
    lease_ran_out, ///< heartbeats were not answered in time, or the process did not run
    fenced_out,    ///< the database said that another term has begun
};

/// This process became the leader of an election.
struct elected_event {
    std::string_view election;
    std::string_view region;
    std::string_view candidate;
    std::int32_t timeline;
    std::int64_t term;
    std::chrono::nanoseconds campaign; ///< since its campaign began
};

/// It no longer is.
struct deposed_event {
    std::string_view election;
    std::string_view region;
    std::string_view candidate;
    std::int64_t term;
    term_end cause;
    std::string_view reason;       ///< the server's last words, where it said any
    std::chrono::nanoseconds held; ///< the length of the term
};

/// A leader's heartbeat was answered.
struct heartbeat_event {
    std::string_view election;
    std::string_view region;
    std::chrono::nanoseconds round_trip;
    std::chrono::nanoseconds margin; ///< what was left of the lease when the answer came
    int candidates;                  ///< campaigning or leading now
};

/// A transaction of a leader was refused by the database, or before it was sent: its term is over.
struct fence_event {
    std::string_view election;
    std::string_view region;
    std::int64_t term;
};

/// Functions are called on the thread on which it happened, from several at once; they must be quick, must not throw
/// and must not use the pool or connection that they are told of.
class observer {
public:
    observer() = default;
    observer(const observer&) = delete;
    observer& operator=(const observer&) = delete;
    virtual ~observer() = default;

    virtual void acquired(const acquire_event&) noexcept {}
    virtual void released(const release_event&) noexcept {}
    virtual void connected(const connect_event&) noexcept {}
    virtual void executed(const statement_event&) noexcept {}
    virtual void ended(const transaction_event&) noexcept {}
    virtual void retried(const retry_event&) noexcept {}
    virtual void leaked(const leak_event&) noexcept {}
    virtual void elected(const elected_event&) noexcept {}
    virtual void deposed(const deposed_event&) noexcept {}
    virtual void heartbeat(const heartbeat_event&) noexcept {}
    virtual void fenced(const fence_event&) noexcept {}
};

} // namespace tenon
