#include <tenon/pg/install.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <tenon/core/error.hpp>
#include <tenon/pg/advisory_lock.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/pg/transaction.hpp>

#include "embedded_scripts.hpp"

namespace tenon {

namespace {

// Whether the schema is there, and with it a list of what was installed. Throws when it belongs to somebody who is not
// trusted: nothing in it is looked at before, as the list itself may be a view that runs his code.
struct schema_state {
    bool exists = false;
    bool begun = false;
};

schema_state state_of_schema(transaction& tx) {
    // Not to_regclass, which may answer from what the session knew before it waited. A superuser counts as a member of
    // every role, which says nothing about that role.
    static constexpr query<std::tuple<std::string, bool, bool>> found{
        "select n.nspowner::pg_catalog.regrole::pg_catalog.text,"
        " coalesce(owner.rolsuper or owner.oid operator(pg_catalog.=) me.oid"
        "  or owner.oid operator(pg_catalog.=) d.datdba or owner.rolname operator(pg_catalog.=) 'pg_database_owner'"
        "  or (not me.rolsuper and pg_catalog.pg_has_role(me.oid, owner.oid, 'member')), false),"
        " exists (select from pg_catalog.pg_class c"
        "  where c.relnamespace operator(pg_catalog.=) n.oid and c.relname operator(pg_catalog.=) 'installed')"
        " from pg_catalog.pg_namespace n"
        " join pg_catalog.pg_roles me on me.rolname operator(pg_catalog.=) current_user"
        " join pg_catalog.pg_database d on d.datname operator(pg_catalog.=) pg_catalog.current_database()"
        " left join pg_catalog.pg_roles owner on owner.oid operator(pg_catalog.=) n.nspowner"
        " where n.nspname operator(pg_catalog.=) 'tenon'"};
    const auto schema = found.first(tx);
    if (!schema)
        return {};
    const auto& [owner, trusted, begun] = *schema;
    if (!trusted)
        throw error("install: the schema tenon belongs to role " + owner +
                    ", who could run code as whoever uses it: drop it, or, if that is its place, alter schema tenon "
                    "owner to the role that installs");
    return {.exists = true, .begun = begun};
}

std::vector<detail::embedded_script> missing_scripts(transaction& tx, const schema_state& schema) {
    static constexpr query<std::string> done{"select script from tenon.installed"};
    std::vector<std::string> installed;
    if (schema.begun)
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
    if (missing_scripts(tx, state_of_schema(tx)).empty())
        return;
    lock_until_end(tx, "tenon.install");
    const schema_state schema = state_of_schema(tx); // somebody else may have been quicker
    const auto missing = missing_scripts(tx, schema);
    if (missing.empty())
        return;
    if (!schema.exists) // and fails if it is by now: whoever made it did not wait for the lock
        tx.execute("create schema tenon");
    tx.execute("create table if not exists tenon.installed"
               " (script pg_catalog.text primary key,"
               "  installed_at pg_catalog.timestamptz not null default pg_catalog.clock_timestamp());"
               "grant select on tenon.installed to public");
    for (const auto& script : missing) {
        tx.execute(script.sql);
        tx.execute("insert into tenon.installed (script) values ($1)", std::string(script.name));
    }
}

} // namespace tenon
