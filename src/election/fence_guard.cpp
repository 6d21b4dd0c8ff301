#include <tenon/election/fence_guard.hpp>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>
#include <tenon/pg/transaction.hpp>

namespace tenon {

void fence_guard::admit(transaction& tx, const fencing_token& token) const {
    const std::uint64_t admitted = tx.execute(
        "insert into tenon.fence_guard as g (resource, timeline, term, id) values ($1, $2, $3, $4)"
        " on conflict (resource) do update"
        " set timeline = excluded.timeline, term = excluded.term, id = excluded.id"
        " where (g.timeline, g.term) operator(pg_catalog.<) (excluded.timeline, excluded.term)"
        " or (g.timeline, g.term, g.id) operator(pg_catalog.=) (excluded.timeline, excluded.term, excluded.id)",
        resource_, token.timeline, token.term, token.id);
    if (admitted == 0)
        throw fenced_out("fence guard " + resource_ + ": a leader of a later term than " + std::to_string(token.term) +
                             " on timeline " + std::to_string(token.timeline) +
                             " was here, or another of the same: stop, and campaign again",
                         {.sqlstate = std::string(sqlstate::fenced_out)});
}

} // namespace tenon
