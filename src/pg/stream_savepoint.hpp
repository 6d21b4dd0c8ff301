// The savepoint in front of a stream or COPY OUT: one that is left early is cancelled, which would fail the transaction
// but for this.
#pragma once

#include "transaction_state.hpp"

namespace tenon::detail {

inline constexpr const char* stream_savepoint = "savepoint tenon_stream";
inline constexpr const char* release_stream_savepoint = "release savepoint tenon_stream";

inline void owe_undo_of_stream(transaction_state& of) {
    of.owe_first(release_stream_savepoint);
    of.owe_first("rollback to savepoint tenon_stream");
}

} // namespace tenon::detail
