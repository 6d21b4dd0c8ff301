// A statement that travels with BEGIN, in front of a transaction's first statement.
#pragma once

#include <span>

namespace tenon {

class transaction;

namespace detail {

/// Costs no round trip. When it fails the statements behind it are not run, and the first of them throws its error.
struct prelude {
    const char* sql;                     ///< one constant for the whole program: it is prepared under one name
    std::span<const char* const> values; ///< of $1, $2, ... in text form
};

/// For a transaction in which nothing was executed yet; `first` must outlive it. A transaction that executes nothing
/// does not send it. Throws usage_error otherwise.
void lead_with(transaction& tx, const prelude& first);

} // namespace detail
} // namespace tenon
