#include <tenon/pg/install.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <tenon/core/error.hpp>
#include <tenon/pg/advisory_lock.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/pg/transaction.hpp>

#include "embedded_scripts.hpp"

namespace tenon {

namespace {

std::vector<detail::embedded_script> missing_scripts(transaction& tx) {
    // Not to_regclass, which may answer from what the session knew before it waited.
    static constexpr query<bool> begun{"select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
                                       " on n.oid operator(pg_catalog.=) c.relnamespace"
                                       " where n.nspname operator(pg_catalog.=) 'tenon'"
                                       " and c.relname operator(pg_catalog.=) 'installed')"};
    static constexpr query<std::string> done{"select script from tenon.installed"};
    std::vector<std::string> installed;
    if (begun.one(tx))
        installed = done.all(tx);
    std::vector<detail::embedded_script> missing;
    std::ranges::copy_if(detail::embedded_scripts(), std::back_inserter(missing), [&](const auto& script) {
        return std::ranges::find(installed, script.name) == installed.end();
    });
    return missing;
}

} // namespace

void install(transaction& tx) {
    static constexpr query<std::string> level{"select pg_catalog.current_setting('transaction_isolation')"};
    if (level.one(tx) != "read committed")
        throw usage_error("install needs a READ COMMITTED transaction: callers that race must see each other's work");
    if (missing_scripts(tx).empty())
        return;
    lock_until_end(tx, "tenon.install");
    const auto missing = missing_scripts(tx); // somebody else may have been quicker
    if (missing.empty())
        return;
    tx.execute("create schema if not exists tenon;"
               "create table if not exists tenon.installed"
               " (script pg_catalog.text primary key,"
               "  installed_at pg_catalog.timestamptz not null default pg_catalog.clock_timestamp());"
               "grant select on tenon.installed to public");
    for (const auto& script : missing) {
        tx.execute(script.sql);
        tx.execute("insert into tenon.installed (script) values ($1)", std::string(script.name));
    }
}

} // namespace tenon
