// A table made from its record: for examples, tests and first steps. Services that live longer use migrations.
#pragma once

#include <tenon/pg/transaction.hpp>
#include <tenon/repository/write_sql.hpp>

namespace tenon {

/// CREATE TABLE IF NOT EXISTS with the record's columns: NOT NULL unless std::optional, the key as primary
/// key; generated integers become identity columns, generated times default to now(), uuids to a random one.
/// An existing table is left as it is.
template <mapped_record R>
void create_table(transaction& tx) {
    static_assert(detail::create_table_sql<R>::has_defaults,
                  "tenon: create_table has no default for a generated field of this type: create the table by SQL");
    tx.execute(sql_text<detail::create_table_sql<R>>);
}

} // namespace tenon
