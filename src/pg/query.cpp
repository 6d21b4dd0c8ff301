#include <tenon/pg/query.hpp>

#include <string>

#include <tenon/pg/savepoint.hpp>

#include "session.hpp"
#include "session_access.hpp"

namespace tenon {

namespace detail {

void throw_not_one(std::string_view sql, std::size_t found) {
    if (found == 0)
        throw row_not_found("one: the query returned no row", {.statement = std::string(sql)});
    throw too_many_rows("one: the query returned more than one row; narrow it, or use first",
                        {.statement = std::string(sql)});
}

} // namespace detail

void check_statements(transaction& tx, std::span<const statement* const> statements) {
    std::string report;
    for (const statement* const what : statements) {
        savepoint attempt(tx); // a statement that cannot be prepared would fail the transaction
        try {
            session_access::of(tx).check(*what);
        } catch (const connection_lost&) {
            throw;
        } catch (const error& problem) {
            report += "\n" + std::string(what->sql) + "\n  " + problem.what();
            continue;
        }
        attempt.release();
    }
    if (!report.empty())
        throw schema_mismatch("queries that do not fit the database:" + report);
}

} // namespace tenon
