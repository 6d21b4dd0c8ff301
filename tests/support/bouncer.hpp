// PgBouncer between a test and its server, where it is installed.
#pragma once

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/pg/pool.hpp>
#include <tenon/testing/cluster.hpp>

#include "support/eventually.hpp"

namespace tenon::tests {

/// PgBouncer in transaction mode on a Unix socket of its own.
class bouncer {
public:
    bouncer(const testing::cluster& server, const std::string& database, bool drops_options) {
        std::string pattern = (std::filesystem::temp_directory_path() / "tenon-bouncer-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        std::filesystem::permissions(folder_, std::filesystem::perms::all);
        {
            std::ofstream settings(folder_ / "pgbouncer.ini");
            settings << "[databases]\n* = host=" << server.socket_directory().string() << " port=" << server.port()
                     << " user=postgres dbname=" << database
                     << "\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = " << folder_.string()
                     << "\nserver_login_retry = 1\nauth_type = any\npool_mode = "
                        "transaction\nignore_startup_parameters = "
                     << "extra_float_digits" << (drops_options ? ",options" : "") << "\n";
        }
        const std::string file = (folder_ / "pgbouncer.ini").string();
        std::array<const char*, 6> arguments{"pgbouncer", "-q", "-u", "postgres", file.c_str(), nullptr};
        if (::getuid() != 0)
            arguments = {"pgbouncer", "-q", file.c_str(), nullptr, nullptr, nullptr};
        if (::posix_spawn(&pid_, program, nullptr, nullptr, const_cast<char* const*>(arguments.data()), environ) != 0)
            pid_ = 0;
    }
    bouncer(const bouncer&) = delete;
    bouncer& operator=(const bouncer&) = delete;
    ~bouncer() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        std::filesystem::remove_all(folder_);
    }
    [[nodiscard]] std::string url() const { return "host=" + folder_.string() + " port=6432 user=postgres dbname=any"; }
    /// Waits until it listens.
    [[nodiscard]] bool serves(pool& behind) const {
        return eventually(
            [&] {
                try {
                    behind.transact([](transaction& tx) { tx.execute("select 1"); });
                    return true;
                } catch (const error&) {
                    return false;
                }
            },
            std::chrono::minutes(2));
    }
    [[nodiscard]] static bool is_installed() { return ::access(program, X_OK) == 0; }

private:
    static constexpr const char* program = "/usr/sbin/pgbouncer";
    std::filesystem::path folder_;
    pid_t pid_ = 0;
};

} // namespace tenon::tests
