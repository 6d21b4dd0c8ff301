#include "dial.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <vector>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>
#include <tenon/pg/detail/conninfo.hpp>

#include "server_error.hpp"
#include "waiting.hpp"
#include "wake.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

struct free_options {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};

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
    message = "cannot connect: " + one_line(without_option_values(std::move(message), connection));
    message += remedy(properties.sqlstate);
    throw connection_failed(message, std::move(properties));
}

} // namespace

void finish::operator()(PGconn* connection) const noexcept {
    const int socket = PQsocket(connection);
    if (socket >= 0 && forked_since(opened_in)) {
        // A socket that leads nowhere takes its place: what libpq and TLS say to end a session is lost.
        const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (nowhere < 0 || ::dup2(nowhere, socket) < 0)
            return; // left open, and the memory with it
        ::close(nowhere);
    }
    PQfinish(connection);
}

std::chrono::milliseconds validate_conninfo(const std::string& conninfo, std::chrono::milliseconds timeout) {
    if (!is_readable_conninfo(conninfo))
        throw connection_failed(std::string(unreadable_conninfo));
    if (!is_connection_string(conninfo))
        return timeout; // a bare database name
    const std::unique_ptr<PQconninfoOption, free_options> options(PQconninfoParse(conninfo.c_str(), nullptr));
    for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        const std::string_view value = option->val != nullptr ? option->val : "";
        if (int seconds = 0; keyword == "connect_timeout" && !value.empty() &&
                             std::from_chars(value.data(), value.data() + value.size(), seconds).ec == std::errc{} &&
                             seconds > 0)
            timeout = std::chrono::seconds(seconds);
    }
    return timeout;
}

bool is_refusal(const error& failure) noexcept {
    const std::string_view state = failure.sqlstate();
    return state == "28P01" || state == "28000" || state == "3D000" || state == sqlstate::insufficient_privilege;
}

host_role role_of(PGconn* connection) noexcept {
    const char* const standby = PQparameterStatus(connection, "in_hot_standby");
    if (standby == nullptr)
        return host_role::unknown;
    return std::string_view(standby) == "on" ? host_role::replica : host_role::primary;
}

namespace {

struct address {
    std::string host;
    std::string port;
};

std::vector<std::string> split(std::string_view list) {
    std::vector<std::string> parts;
    for (;;) {
        const auto comma = list.find(',');
        parts.emplace_back(list.substr(0, comma));
        if (comma == std::string_view::npos)
            return parts;
        list.remove_prefix(comma + 1);
    }
}

// The hosts of a connection string that names several; else none, and libpq decides.
std::vector<address> hosts_of(const std::string& conninfo) {
    if (!is_connection_string(conninfo))
        return {};
    const std::unique_ptr<PQconninfoOption, free_options> options(PQconninfoParse(conninfo.c_str(), nullptr));
    std::string host;
    std::string port;
    std::string hostaddr;
    for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option)
        if (option->val != nullptr) {
            if (std::string_view(option->keyword) == "host")
                host = option->val;
            else if (std::string_view(option->keyword) == "port")
                port = option->val;
            else if (std::string_view(option->keyword) == "hostaddr")
                hostaddr = option->val;
        }
    if (!hostaddr.empty() || host.find(',') == std::string::npos)
        return {};
    const std::vector<std::string> names = split(host);
    const std::vector<std::string> ports = split(port);
    std::vector<address> list;
    list.reserve(names.size());
    for (std::size_t i = 0; i < names.size(); ++i)
        list.push_back({names[i], ports.size() == 1 ? ports[0] : i < ports.size() ? ports[i] : std::string()});
    return list;
}

// A host that is silent does not keep the next one waiting for longer (after RFC 8305).
constexpr auto next_host_after = 250ms;

constexpr const char* in_words(host_role role) {
    return role == host_role::primary ? "primary" : "replica";
}

// One host that is being dialled.
struct attempt {
    connection_ptr connection;
    std::string label; // of the host, where there are several
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
};

connection_ptr start_dial(const std::string& conninfo, const address* at, const dial_options& how) {
    // Later entries win: ours, then the string's, then what tenon relies on.
    std::vector<const char*> keywords{"keepalives_idle",  "keepalives_interval",       "keepalives_count",
                                      "tcp_user_timeout", "fallback_application_name", "dbname",
                                      "client_encoding"};
    std::vector<const char*> values{"30", "10", "3", "30000", "tenon", conninfo.c_str(), "UTF8"};
    if (at != nullptr) {
        keywords.insert(keywords.end(), {"host", "port"});
        values.insert(values.end(), {at->host.c_str(), at->port.c_str()});
    }
    for (const auto& [keyword, value] : how.settings) {
        keywords.push_back(keyword);
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    connection_ptr connection(PQconnectStartParams(keywords.data(), values.data(), 1));
    if (!connection)
        throw std::bad_alloc();
    PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr); // libpq would print them
    PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);                    // its messages carry the SQLSTATE
    return connection;
}

// True when it is connected, false when it is not yet. Throws connection_failed.
bool go_on(attempt& one) {
    if (PQstatus(one.connection.get()) == CONNECTION_BAD)
        fail(one.connection.get());
    one.next = PQconnectPoll(one.connection.get());
    if (one.next == PGRES_POLLING_FAILED)
        fail(one.connection.get());
    return one.next == PGRES_POLLING_OK;
}

std::string without_front(std::string_view reason) {
    constexpr std::string_view front = "cannot connect: ";
    if (reason.starts_with(front))
        reason.remove_prefix(front.size());
    return std::string(reason);
}

} // namespace

bool has_several_hosts(const std::string& conninfo) {
    return !hosts_of(conninfo).empty();
}

PGconn* dial(const std::string& conninfo, const dial_options& how) {
    const auto timeout = validate_conninfo(conninfo, how.timeout);
    std::optional<wake> woken;
    if (how.stop.stop_possible())
        woken.emplace();
    const std::stop_callback on_stop(how.stop, [&woken] { woken->set(); }); // called only where it is possible
    using clock = std::chrono::steady_clock;
    const auto deadline = after(timeout);
    const std::vector<address> hosts = hosts_of(conninfo);
    const std::size_t count = std::max<std::size_t>(hosts.size(), 1);
    std::vector<attempt> attempts;
    std::size_t begun = 0;
    auto next_start = clock::now();
    std::string failures;
    std::string state;
    const auto note = [&](const attempt& of, const std::string& reason) {
        failures += (failures.empty() ? "" : "; ") + of.label + without_front(reason);
    };
    const auto give_up = [&] {
        throw connection_failed((hosts.empty() ? "cannot connect: " : "cannot connect to any host: ") + failures,
                                {.sqlstate = state});
    };
    for (;;) {
        if (begun < count && (attempts.empty() || clock::now() >= next_start)) {
            const address* const at = hosts.empty() ? nullptr : &hosts[begun];
            attempts.push_back({start_dial(conninfo, at, how),
                                at == nullptr ? "" : at->host + (at->port.empty() ? "" : ":" + at->port) + ": "});
            ++begun;
            next_start = clock::now() + next_host_after;
        }
        std::vector<pollfd> sockets;
        sockets.reserve(attempts.size() + 1);
        for (const attempt& one : attempts)
            sockets.push_back({.fd = PQsocket(one.connection.get()),
                               .events = static_cast<short>(one.next == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                               .revents = 0});
        sockets.push_back({.fd = woken ? woken->descriptor() : -1, .events = POLLIN, .revents = 0});
        const bool failed = std::ranges::any_of(
            attempts, [](const attempt& one) { return PQstatus(one.connection.get()) == CONNECTION_BAD; });
        const auto until = failed ? clock::now() : begun < count ? std::min(next_start, deadline) : deadline;
        if (blocking().wait(sockets, until) == wait_outcome::abandoned)
            throw connection_failed("cannot connect: its sockets cannot be waited for");
        if (sockets.back().revents != 0)
            throw connection_failed("cannot connect: it was stopped");
        for (std::size_t i = attempts.size(); i-- > 0;) {
            attempt& one = attempts[i];
            if (sockets[i].revents == 0 && PQstatus(one.connection.get()) != CONNECTION_BAD)
                continue;
            try {
                if (!go_on(one))
                    continue;
                const host_role role = role_of(one.connection.get());
                if (hosts.empty() || how.wanted == host_role::unknown || role == host_role::unknown ||
                    role == how.wanted) {
                    PQsetErrorVerbosity(one.connection.get(), PQERRORS_DEFAULT);
                    PQsetnonblocking(one.connection.get(), 1);
                    return one.connection.release();
                }
                note(one, std::string("is no ") + in_words(how.wanted));
            } catch (const connection_failed& failure) {
                if (hosts.empty())
                    throw;
                note(one, failure.what());
                state = failure.sqlstate();
            }
            attempts.erase(attempts.begin() + static_cast<std::ptrdiff_t>(i));
            next_start = clock::now(); // the next one need not wait
        }
        if (attempts.empty() && begun == count)
            give_up();
        if (clock::now() >= deadline) {
            for (const attempt& one : attempts)
                note(one, "no answer within " + std::to_string(timeout.count()) +
                              " ms (connect_timeout); check that the server can be reached");
            give_up();
        }
    }
}

} // namespace tenon::detail
