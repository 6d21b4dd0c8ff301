#pragma once

/// Where PostgreSQL's server programs are, and the user they may run as.

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tenon::testing {

/// The folder that holds initdb and postgres; see cluster's constructor for where it looks.
/// Throws: cluster_error, saying what to install.
[[nodiscard]] std::filesystem::path find_server_binaries();

/// The user that a server started by this process runs as. PostgreSQL refuses to run as root.
struct server_account {
    bool drops_root = false;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name{};

    /// The command prefix that becomes this user; empty when there is nothing to drop.
    [[nodiscard]] std::vector<std::string> become() const;
};

/// Throws: cluster_error for root on a system that has neither user postgres nor nobody.
[[nodiscard]] server_account find_server_account();

} // namespace tenon::testing
