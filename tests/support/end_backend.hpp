// Ends a session on the server.
#pragma once

#include <stdexcept>

#include <tenon/tenon.hpp>

namespace tenon::tests {

/// Ends the backend and returns when its process is gone: pg_terminate_backend() without a timeout returns when the
/// signal is sent, and the session may go on for a while.
inline void end_backend(connection& through, int pid) {
    static constexpr query<bool, int> ended{"select pg_terminate_backend($1, 60000)"};
    if (!through.transact([pid](transaction& tx) { return ended.one(tx, pid); }))
        throw std::runtime_error("a backend did not end");
}

} // namespace tenon::tests
