#include "dial.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>

#include <tenon/core/error.hpp>

#include "server_error.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view unreadable =
    "the connection string cannot be read (it is not shown, as it may hold a password): write "
    "postgresql://user:password@host:port/database with special characters percent-encoded, or key='value' pairs";

struct free_options {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};

struct finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};

bool is_connection_string(const std::string& text) {
    return text.starts_with("postgresql://") || text.starts_with("postgres://") || text.find('=') != std::string::npos;
}

// "FATAL:  28P01: password authentication failed ...", as PQERRORS_VERBOSE writes it, whatever the language.
std::string take_sqlstate(std::string& message) {
    const auto is_code = [](std::string_view text) {
        return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
    };
    for (auto at = message.rfind(":  "); at != std::string::npos && at > 0; at = message.rfind(":  ", at - 1))
        if (message.size() > at + 8 && message[at + 8] == ':' && is_code(std::string_view(message).substr(at + 3, 5))) {
            std::string state = message.substr(at + 3, 5);
            message.erase(at + 3, 7);
            return state;
        }
    return {};
}

std::string_view remedy(std::string_view state) {
    if (state == "28P01" || state == "28000")
        return "; check user, password and pg_hba.conf";
    if (state == "3D000")
        return "; create the database, or correct its name";
    if (state == "53300")
        return "; lower the pools' max_size, or raise max_connections";
    if (state.empty())
        return "; check that the server runs and that host and port are right";
    return {};
}

[[noreturn]] void fail(PGconn* connection) {
    std::string message = PQerrorMessage(connection);
    error_properties properties{.sqlstate = take_sqlstate(message)};
    if (const auto location = message.find("\nLOCATION:"); location != std::string::npos)
        message.resize(location);
    message = "cannot connect: " + one_line(message);
    message += remedy(properties.sqlstate);
    throw connection_failed(message, std::move(properties));
}

} // namespace

bool wait_for_socket(PGconn* connection, short events, std::chrono::steady_clock::time_point deadline) {
    pollfd socket{.fd = PQsocket(connection), .events = events, .revents = 0};
    for (;;) {
        int timeout = -1;
        if (deadline != std::chrono::steady_clock::time_point::max()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
        }
        const int ready = ::poll(&socket, 1, timeout);
        if (ready > 0)
            return true;
        if (ready == 0)
            return false;
        if (errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
    }
}

std::chrono::milliseconds validate_conninfo(const std::string& conninfo, std::chrono::milliseconds timeout) {
    if (!is_connection_string(conninfo))
        return timeout; // a bare database name
    char* reason = nullptr;
    const std::unique_ptr<PQconninfoOption, free_options> options(PQconninfoParse(conninfo.c_str(), &reason));
    PQfreemem(reason); // quotes the string
    if (!options)
        throw connection_failed(std::string(unreadable));
    // An unescaped '@' or '/' in a password ends up in host or port, and libpq would quote those.
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        const std::string_view value = option->val != nullptr ? option->val : "";
        const bool bad_host = keyword == "host" && value.find('@') != std::string_view::npos && !value.starts_with('@');
        const bool bad_port = keyword == "port" && !std::ranges::all_of(value, [](unsigned char c) {
                                  return std::isdigit(c) != 0 || c == ',';
                              });
        if (bad_host || bad_port)
            throw connection_failed(std::string(unreadable));
        if (int seconds = 0; keyword == "connect_timeout" && !value.empty() &&
                             std::from_chars(value.data(), value.data() + value.size(), seconds).ec == std::errc{} &&
                             seconds > 0)
            timeout = std::chrono::seconds(seconds);
    }
    return timeout;
}

PGconn* dial(const std::string& conninfo, std::chrono::milliseconds timeout) {
    timeout = validate_conninfo(conninfo, timeout);
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    // Later entries win: ours, then the string's, then what tenon relies on.
    constexpr std::array keywords{"keepalives_idle",           "keepalives_interval",
                                  "keepalives_count",          "tcp_user_timeout",
                                  "fallback_application_name", "dbname",
                                  "client_encoding",           static_cast<const char*>(nullptr)};
    const std::array values{
        "30", "10", "3", "30000", "tenon", conninfo.c_str(), "UTF8", static_cast<const char*>(nullptr)};
    std::unique_ptr<PGconn, finish> connection(PQconnectStartParams(keywords.data(), values.data(), 1));
    if (!connection)
        throw std::bad_alloc();
    PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE); // its messages carry the SQLSTATE
    if (PQstatus(connection.get()) == CONNECTION_BAD)
        fail(connection.get());
    for (auto next = PGRES_POLLING_WRITING;;) {
        if (next == PGRES_POLLING_FAILED)
            fail(connection.get());
        if (next == PGRES_POLLING_OK)
            break;
        if (!wait_for_socket(connection.get(), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            throw connection_failed("cannot connect: no answer within " + std::to_string(timeout.count()) +
                                    " ms (connect_timeout); check that the server can be reached");
        next = PQconnectPoll(connection.get());
    }
    PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
    PQsetnonblocking(connection.get(), 1);
    return connection.release();
}

} // namespace tenon::detail
