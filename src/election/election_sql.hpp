// What an election says to the server. $1 is the region, $2 the name.
#pragma once

#include <string>
#include <string_view>

namespace tenon::detail::election_sql {

// Payloads of notifications.
inline constexpr std::string_view resigned = "resigned";
inline constexpr std::string_view preferred = "preferred ";
inline constexpr std::string_view excluded = "excluded ";

/// Where an election's notifications are sent; a valid identifier.
[[nodiscard]] std::string channel_of(std::string_view name, std::string_view region);

/// The timeline, and by two shared locks: we are here ($3 our name).
inline constexpr const char* hello =
    "select ('x' operator(pg_catalog.||) pg_catalog.substr("
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::integer,"
    " pg_catalog.pg_advisory_lock_shared(tenon.election_key($1, $2, 2)),"
    " pg_catalog.pg_advisory_lock_shared(tenon.election_key($2, $3, pg_catalog.hashtextextended($1, 3)))";

/// Never waits: who waits in the server for a lock holds back vacuum. A candidate that is asked for goes first, as long
/// as it is there. Says also whether the last leader resigned in order.
inline constexpr const char* try_lock =
    "select coalesce((select t.backend_pid operator(pg_catalog.=) 0 from tenon.election_term t"
    "  where t.region operator(pg_catalog.=) $1 and t.name operator(pg_catalog.=) $2), true),"
    " case"
    " when exists (select from tenon.election_candidate c"
    "  where c.region operator(pg_catalog.=) $1 and c.name operator(pg_catalog.=) $2"
    "  and c.candidate operator(pg_catalog.=) $3 and c.excluded) then 'excluded'"
    " when exists (select from tenon.election_candidate c"
    "  where c.region operator(pg_catalog.=) $1 and c.name operator(pg_catalog.=) $2"
    "  and c.candidate operator(pg_catalog.<>) $3 and not c.excluded"
    "  and c.preferred_until operator(pg_catalog.>) pg_catalog.clock_timestamp()"
    "  and exists (select from tenon.election_holders(tenon.election_key($2, c.candidate, "
    "pg_catalog.hashtextextended($1, 3)))))"
    "  then 'preferred'"
    " when pg_catalog.pg_try_advisory_lock(tenon.election_key($1, $2, 0)) then 'granted'"
    " else 'held' end";

/// Begins the next term; $3 is the candidate, $4 the channel. Waits for fenced transactions of the term before, and
/// keeps new ones waiting meanwhile.
inline constexpr const char* bump =
    "with alone as materialized (select pg_catalog.pg_advisory_xact_lock(tenon.election_key($1, $2, 1)),"
    // A term that was announced must not be lost in a crash of the server.
    " pg_catalog.set_config('synchronous_commit',"
    "  case when pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) 'off' then 'on'"
    "  else pg_catalog.current_setting('synchronous_commit') end, true)),"
    // A wish that has come true is none any more.
    " fulfilled as (update tenon.election_candidate set preferred_until = null"
    " where region operator(pg_catalog.=) $1 and name operator(pg_catalog.=) $2"
    " and candidate operator(pg_catalog.=) $3 and preferred_until is not null)"
    " insert into tenon.election_term as t (region, name, term, timeline, id, candidate, backend_pid, elected_at)"
    " select $1, $2, 1,"
    " ('x' operator(pg_catalog.||) pg_catalog.substr("
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::integer,"
    " pg_catalog.gen_random_uuid(), $3, pg_catalog.pg_backend_pid(), pg_catalog.clock_timestamp() from alone"
    " on conflict (region, name) do update set term = t.term operator(pg_catalog.+) 1, timeline = excluded.timeline, "
    "id = excluded.id,"
    " candidate = excluded.candidate, backend_pid = excluded.backend_pid, elected_at = excluded.elected_at"
    " returning t.timeline, t.term, t.id, pg_catalog.pg_notify($4, 'elected ' operator(pg_catalog.||) $3)";

inline constexpr const char* end_predecessors = "select pg_catalog.count(pg_catalog.pg_terminate_backend(pid))"
                                                " from tenon.election_holders(tenon.election_key($1, $2, 1)) as pid"
                                                " where pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()";

/// Any statement would do; this one tells how many candidates there are.
inline constexpr const char* heartbeat =
    "select pg_catalog.count(*) from tenon.election_holders(tenon.election_key($1, $2, 2))";

/// The term's session holds it no more; $3 is the term's id.
inline constexpr const char* resign =
    "with quick as materialized (select pg_catalog.set_config('synchronous_commit', 'off', true))"
    " update tenon.election_term set backend_pid = 0 from quick where region operator(pg_catalog.=) $1"
    " and name operator(pg_catalog.=) $2 and id operator(pg_catalog.=) $3::pg_catalog.uuid";

/// $3 is the channel.
inline constexpr const char* unlock =
    "select pg_catalog.pg_advisory_unlock(tenon.election_key($1, $2, 0)), pg_catalog.pg_notify($3, 'resigned')";

/// Term and patience behind region and name.
inline constexpr const char* fence = "select tenon.require_term($1, $2, $3, $4, $5)";

/// Who leads: the last term's winner, if its session still holds the lock.
inline constexpr const char* leader =
    "select t.candidate, t.timeline, t.term, t.id,"
    " (extract(epoch from t.elected_at) operator(pg_catalog.*) 1000000)::bigint"
    " from tenon.election_term t where t.region operator(pg_catalog.=) $1 and t.name operator(pg_catalog.=) $2"
    " and t.backend_pid operator(pg_catalog.=) any (select pid from tenon.election_holders(tenon.election_key($1, $2, "
    "0)) as pid)";

} // namespace tenon::detail::election_sql
