// Opening a session: the one place that sees the connection string.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <tenon/core/error.hpp>
#include <tenon/core/observer.hpp>

#include "process.hpp"

namespace tenon::detail {

/// Ends a session: says farewell to the server. In a child of the process that opened it, whose session it is not,
/// only the child's copy of the socket is closed.
struct finish {
    unsigned opened_in = process_generation();
    void operator()(PGconn* connection) const noexcept;
};
using connection_ptr = std::unique_ptr<PGconn, finish>;

struct dial_options {
    std::chrono::milliseconds timeout; ///< for all hosts; the connection string's own goes first
    host_role wanted = host_role::unknown;
    std::stop_token stop{};                                      ///< gives up
    std::vector<std::pair<const char*, std::string>> settings{}; ///< libpq's keywords; win over the connection string
};

/// Connects without blocking beyond the timeout: to the first host of the connection string that serves and has the
/// role that is wanted, `unknown` for any. The next host is begun when one has failed or been silent for a quarter of a
/// second.
/// Throws connection_failed, whose message holds no password.
[[nodiscard]] PGconn* dial(const std::string& conninfo, const dial_options& how);

/// The server refused password, role, database or privilege: no waiting mends that.
[[nodiscard]] bool is_refusal(const error& failure) noexcept;

/// True when the connection string names more than one host.
[[nodiscard]] bool has_several_hosts(const std::string& conninfo);

/// As the server said last; unknown before PostgreSQL 14.
[[nodiscard]] host_role role_of(PGconn* connection) noexcept;

/// Throws connection_failed when the connection string cannot be read; its text is in no message. Returns the
/// string's own connect_timeout where it has one, else `timeout`.
std::chrono::milliseconds validate_conninfo(const std::string& conninfo, std::chrono::milliseconds timeout);

} // namespace tenon::detail
