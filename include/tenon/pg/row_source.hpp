// Rows that arrive one by one: results of any size in constant memory.
//
// While a source lives, its session can do nothing else. One that is left before its end cancels the rest of its
// statement, and only that: the transaction and the session go on.
#pragma once

#include <memory>
#include <span>

#include <tenon/codec/parameters.hpp>
#include <tenon/codec/wire.hpp>
#include <tenon/pg/statement.hpp>

namespace tenon {

class transaction;

class row_source {
public:
    row_source() = default;
    row_source(const row_source&) = delete;
    row_source& operator=(const row_source&) = delete;
    virtual ~row_source() = default;

    /// Fills `values` with the next row, valid until the next call; false after the last row.
    /// Throws what the statement throws; decode_error when the server's bytes are malformed.
    [[nodiscard]] virtual bool next(std::span<wire_value> values) = 0;
};

/// Runs a query whose rows come one by one. Throws schema_mismatch and the like before the first row.
[[nodiscard]] std::unique_ptr<row_source> open_rows(transaction& tx, const statement& what, parameters& values);

/// Runs `COPY ... TO STDOUT (FORMAT BINARY)`: the quickest way out, without parameters. Every column's type has to
/// be the field's own. Throws schema_mismatch.
[[nodiscard]] std::unique_ptr<row_source> open_copy_out(transaction& tx, const statement& what);

} // namespace tenon
