// The server behind a gate: from a connection string to socket addresses, and back to a string through the gate.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace tenon::testing {

using connection_settings = std::vector<std::pair<std::string, std::string>>;

struct address {
    sockaddr_storage bytes{};
    socklen_t length = 0;

    [[nodiscard]] const sockaddr* generic() const {
        return reinterpret_cast<const sockaddr*>(&bytes); // the sockets interface asks for this cast
    }
};

/// Throws cluster_error when it cannot be read.
[[nodiscard]] connection_settings parse(const std::string& conninfo);

/// Of its first host. Throws cluster_error when there is none.
[[nodiscard]] std::vector<address> addresses_of(connection_settings settings);

/// The same, with the gate's address.
[[nodiscard]] std::string url_through(const connection_settings& settings, std::uint16_t port);

} // namespace tenon::testing
