#include <tenon/election/leader.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <tuple>

#include <tenon/pg/listener.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/pg/transaction.hpp>

#include "election_sql.hpp"

namespace tenon {

namespace detail::election_sql {

std::string channel_of(std::string_view name, std::string_view region) {
    constexpr std::string_view digits = "0123456789abcdef";
    auto hash = hash_of(std::string(region) + '\n' + std::string(name));
    std::string channel = "tenon_election_";
    for (int i = 0; i < 16; ++i, hash >>= 4U)
        channel += digits[hash & 15U];
    return channel;
}

} // namespace detail::election_sql

namespace election_sql = detail::election_sql;

std::optional<leader> leader_of(transaction& tx, std::string_view name, std::string_view region) {
    static constexpr query<std::tuple<std::string, std::int32_t, std::int64_t, uuid, std::int64_t>, std::string,
                           std::string>
        last{election_sql::leader};
    const auto found = last.first(tx, std::string(region), std::string(name));
    if (!found)
        return std::nullopt;
    const auto& [candidate, timeline, term, id, since] = *found;
    return leader{.candidate = candidate,
                  .token = {.timeline = timeline, .term = term, .id = id},
                  .since = timestamp(std::chrono::microseconds(since))};
}

int candidates_of(transaction& tx, std::string_view name, std::string_view region) {
    static constexpr query<std::int64_t, std::string, std::string> count{election_sql::heartbeat};
    return static_cast<int>(count.one(tx, std::string(region), std::string(name)));
}

bool prefer(transaction& tx, std::string_view name, std::string_view candidate, std::chrono::milliseconds patience,
            std::string_view region) {
    using namespace std::chrono_literals;
    patience = std::clamp<std::chrono::milliseconds>(patience, 0ms, 24h * 365'000); // timestamps end, too

    // Nobody is asked for who is not there: the election would wait for nothing.
    const std::uint64_t asked = tx.execute(
        "insert into tenon.election_candidate as c (region, name, candidate, preferred_until)"
        " select $1, $2, $3, pg_catalog.clock_timestamp() operator(pg_catalog.+)"
        " ($4 operator(pg_catalog.*) interval '1 millisecond')"
        " where exists (select from tenon.election_holders(tenon.election_key($2, $3, pg_catalog.hashtextextended($1, "
        "3))))"
        " on conflict (region, name, candidate) do update set preferred_until = excluded.preferred_until"
        " where not c.excluded",
        std::string(region), std::string(name), std::string(candidate), static_cast<double>(patience.count()));
    if (asked == 0)
        return false;
    tx.execute("update tenon.election_candidate set preferred_until = null"
               " where region operator(pg_catalog.=) $1 and name operator(pg_catalog.=) $2"
               " and candidate operator(pg_catalog.<>) $3 and preferred_until is not null",
               std::string(region), std::string(name), std::string(candidate));
    notify(tx, election_sql::channel_of(name, region), std::string(election_sql::preferred) + std::string(candidate));
    return true;
}

void exclude(transaction& tx, std::string_view name, std::string_view candidate, bool excluded,
             std::string_view region) {
    tx.execute("insert into tenon.election_candidate (region, name, candidate, excluded) values ($1, $2, $3, $4)"
               " on conflict (region, name, candidate) do update set excluded = excluded.excluded",
               std::string(region), std::string(name), std::string(candidate), excluded);
    notify(tx, election_sql::channel_of(name, region),
           excluded ? std::string(election_sql::excluded) + std::string(candidate)
                    : std::string(election_sql::resigned)); // worth a try for who was let in again
}

void require_token(transaction& tx, std::string_view name, const fencing_token& token, std::string_view region) {
    tx.execute("select tenon.require_term($1, $2, $3, $4,"
               " pg_catalog.current_setting('idle_in_transaction_session_timeout'))",
               std::string(region), std::string(name), token.term, token.id);
}

} // namespace tenon
