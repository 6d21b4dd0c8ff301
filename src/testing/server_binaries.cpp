#include "server_binaries.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string_view>

#include <pwd.h>
#include <unistd.h>

#include <tenon/testing/cluster.hpp>

namespace tenon::testing {
namespace {

namespace fs = std::filesystem;

bool holds_server(const fs::path& folder) {
    return ::access((folder / "initdb").c_str(), X_OK) == 0 && ::access((folder / "postgres").c_str(), X_OK) == 0;
}

std::optional<fs::path> from_pg_config() {
    FILE* output = ::popen("pg_config --bindir 2>/dev/null", "re");
    if (output == nullptr)
        return std::nullopt;
    std::string text;
    std::array<char, 256> part{};
    while (std::fgets(part.data(), static_cast<int>(part.size()), output) != nullptr)
        text += part.data();
    ::pclose(output);
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    if (text.empty())
        return std::nullopt;
    return fs::path{text};
}

// Folders such as /usr/lib/postgresql/15/bin, the newest first.
std::vector<fs::path> versioned_folders() {
    std::vector<std::pair<int, fs::path>> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{"/usr/lib/postgresql", ignored})
        found.emplace_back(std::atoi(entry.path().filename().c_str()), entry.path() / "bin");
    std::ranges::sort(found, std::greater{});
    std::vector<fs::path> result;
    result.reserve(found.size());
    for (auto& [version, folder] : found)
        result.push_back(std::move(folder));
    return result;
}

std::vector<fs::path> path_folders() {
    std::vector<fs::path> result;
    const char* path = std::getenv("PATH");
    std::string_view rest = path == nullptr ? "" : path;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        if (end > 0)
            result.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return result;
}

} // namespace

fs::path find_server_binaries() {
    if (const char* named = std::getenv("TENON_PG_BIN"); named != nullptr && *named != '\0') {
        if (!holds_server(named))
            throw cluster_error{
                "TENON_PG_BIN names " + std::string{named} +
                ", where initdb and postgres are not found; set it to the bin folder of a PostgreSQL server, "
                "or unset it to have one looked for"};
        return named;
    }
    std::vector<fs::path> folders;
    if (std::optional<fs::path> configured = from_pg_config())
        folders.push_back(std::move(*configured));
    for (auto&& source : {versioned_folders(), path_folders()})
        folders.insert(folders.end(), source.begin(), source.end());
    for (const fs::path& folder : folders) {
        if (holds_server(folder))
            return fs::canonical(folder / "initdb").parent_path();
    }
    throw cluster_error{"the PostgreSQL server programs initdb and postgres are not found in `pg_config --bindir`, "
                        "/usr/lib/postgresql/*/bin or PATH; install the package postgresql (Debian, Ubuntu) or "
                        "postgresql-server (Fedora), or name their folder in TENON_PG_BIN"};
}

std::vector<std::string> server_account::become() const {
    if (!drops_root)
        return {};
    return {"setpriv", "--reuid=" + std::to_string(uid), "--regid=" + std::to_string(gid), "--clear-groups"};
}

server_account find_server_account() {
    if (::geteuid() != 0)
        return {};
    for (const char* name : {"postgres", "nobody"}) {
        std::array<char, 4096> buffer{};
        passwd entry{};
        passwd* found = nullptr;
        if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
            return {.drops_root = true, .uid = entry.pw_uid, .gid = entry.pw_gid, .name = name};
    }
    throw cluster_error{"PostgreSQL does not run as root, and there is neither a user postgres nor nobody to drop "
                        "to; create one, or run the tests as another user"};
}

} // namespace tenon::testing
