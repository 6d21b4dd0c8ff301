// Connection strings, and what of them may be shown: they may hold a password, and not only where it belongs.
#pragma once

#include <string>
#include <string_view>

struct pg_conn; // libpq's PGconn

namespace tenon::detail {

/// The remedy for a string that is not readable, with what it says left out.
inline constexpr std::string_view unreadable_conninfo =
    "the connection string cannot be read (it is not shown, as it may hold a password): write "
    "postgresql://user:password@host:port/database with special characters percent-encoded, or key='value' pairs";

/// What libpq takes apart; to it, everything else is the name of a database.
[[nodiscard]] bool is_connection_string(std::string_view text) noexcept;

/// False when libpq cannot read it, or would take a part of a password for a database, host or port, which are shown:
/// an URL that is none (a space or quotes around it, another scheme), a password with special characters.
[[nodiscard]] bool is_readable_conninfo(const std::string& text);

/// What libpq or the server said while a session was opened, without the values of the connection's options that may
/// be shown nowhere: all but host, port, user, database, files, times and libpq's own words.
[[nodiscard]] std::string without_option_values(std::string message, pg_conn* connection);

} // namespace tenon::detail
