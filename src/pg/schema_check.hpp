// Whether records and statements fit the database: what a session has found out, each once.
//
// Invariant: what it says fits was compared with the catalog, or with the server's own description of the statement, in
// this session.
#pragma once

#include <libpq-fe.h>

#include <span>
#include <unordered_map>
#include <vector>

#include <tenon/codec/shape.hpp>
#include <tenon/pg/statement.hpp>

#include "statement_cache.hpp"
#include "type_catalog.hpp"

namespace tenon::detail {

class session;

class schema_check {
public:
    /// The types of the columns of the record's fields, in order. Throws schema_mismatch with all that does not fit.
    const std::vector<oid>& record(session& on, const record_shape& what);
    /// Look at the table anew.
    void forget(const record_shape* what) { records_.erase(what); }

    /// Throws schema_mismatch when the server's description is not what the statement expects.
    void description(session& on, const statement& what, const PGresult* found);
    /// Parameters that have to carry OIDs of this database.
    [[nodiscard]] std::vector<std::pair<std::size_t, const server_type*>> own_oids(session& on, const statement& what,
                                                                                   const PGresult* found);

    /// For what converts nothing, such as COPY: throws schema_mismatch unless these fields have exactly their columns'
    /// types. Returns per field where its OIDs are this database's own.
    [[nodiscard]] std::vector<const server_type*> same_types(session& on, const statement& what,
                                                             std::span<const std::size_t> fields);

private:
    std::unordered_map<const record_shape*, std::vector<oid>> records_{};
    type_catalog types_{};
};

} // namespace tenon::detail
