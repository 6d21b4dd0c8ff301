#include "gate_address.hpp"

#include <cstring>
#include <memory>
#include <string_view>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <libpq-fe.h>

#include <tenon/pg/detail/conninfo.hpp>
#include <tenon/testing/cluster.hpp>

namespace tenon::testing {
namespace {

connection_settings settings_of(const PQconninfoOption* options) {
    connection_settings result;
    for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option)
        if (option->val != nullptr)
            result.emplace_back(option->keyword, option->val);
    return result;
}

// What the environment sets (PGHOST, PGPORT) or libpq has built in.
connection_settings defaults() {
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options{PQconndefaults(), PQconninfoFree};
    return settings_of(options.get());
}

std::string_view value_of(const connection_settings& settings, std::string_view keyword) {
    for (const auto& [name, value] : settings)
        if (name == keyword)
            return value;
    return {};
}

// The first of a list such as libpq takes for host, hostaddr and port.
std::string first_of(std::string_view list) {
    return std::string{list.substr(0, list.find(','))};
}

address unix_address(const std::string& path) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    if (path.size() >= sizeof local.sun_path)
        throw cluster_error{"the path of the server's Unix socket is too long: " + path};
    path.copy(local.sun_path, path.size());
    address result;
    result.length = sizeof local;
    std::memcpy(&result.bytes, &local, sizeof local);
    return result;
}

std::vector<address> tcp_addresses(const std::string& host, const std::string& port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failure = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    if (failure != 0)
        throw cluster_error{"the gate's server " + host + ":" + port + " cannot be found: " + ::gai_strerror(failure)};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned{found, ::freeaddrinfo};
    std::vector<address> result;
    for (const addrinfo* next = found; next != nullptr; next = next->ai_next) {
        address& copy = result.emplace_back();
        copy.length = next->ai_addrlen;
        std::memcpy(&copy.bytes, next->ai_addr, next->ai_addrlen);
    }
    return result;
}

} // namespace

// The message of libpq is not passed on: it quotes the string, which may hold a password.
connection_settings parse(const std::string& conninfo) {
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options{
        PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree};
    if (!options || !detail::is_readable_conninfo(conninfo))
        throw cluster_error{"gate: " + std::string{detail::unreadable_conninfo}};
    return settings_of(options.get());
}

std::vector<address> addresses_of(connection_settings settings) {
    const connection_settings built_in = defaults();
    settings.insert(settings.end(), built_in.begin(), built_in.end());
    std::string host = first_of(value_of(settings, "hostaddr"));
    if (host.empty())
        host = first_of(value_of(settings, "host"));
    if (host.empty())
        throw cluster_error{"a gate needs to know its server: name the host, or the folder of its Unix socket, in the "
                            "connection string or in PGHOST"};
    const std::string port = first_of(value_of(settings, "port"));
    if (host.starts_with('/'))
        return {unix_address(host + "/.s.PGSQL." + port)};
    return tcp_addresses(host, port);
}

std::string url_through(const connection_settings& settings, std::uint16_t port) {
    std::string result = "host=127.0.0.1 port=" + std::to_string(port);
    for (const char* encryption : {"sslmode", "gssencmode"})
        if (value_of(settings, encryption).empty())
            result += std::string{" "} + encryption + "=disable";
    for (const auto& [keyword, value] : settings) {
        if (keyword == "host" || keyword == "hostaddr" || keyword == "port" || value.empty())
            continue;
        result += ' ' + keyword + "='";
        for (const char c : value) {
            if (c == '\'' || c == '\\')
                result += '\\';
            result += c;
        }
        result += '\'';
    }
    return result;
}

} // namespace tenon::testing
