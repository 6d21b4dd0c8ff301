#include "cluster_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <tenon/testing/cluster.hpp>

namespace tenon::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view folder_name = "tenon-pg-XXXXXX";
constexpr std::string_view socket_name = "/.s.PGSQL.65535";

// Another user than root passes only through folders that everybody may pass through.
bool reachable(fs::path folder, const server_account& account) {
    if (!account.drops_root)
        return ::access(folder.c_str(), W_OK | X_OK) == 0;
    for (; folder.has_relative_path(); folder = folder.parent_path()) {
        struct stat status{};
        if (::stat(folder.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0)
            return false;
    }
    return true;
}

fs::path parent_folder(const server_account& account) {
    if (const char* named = std::getenv("TMPDIR"); named != nullptr && *named == '/') {
        const fs::path folder = fs::path{named}.lexically_normal();
        const std::size_t length = folder.native().size() + 1 + folder_name.size() + socket_name.size();
        if (length < sizeof(sockaddr_un::sun_path) && folder.native().find('\n') == std::string::npos &&
            reachable(folder, account))
            return folder;
    }
    return "/tmp";
}

} // namespace

fs::path make_cluster_folder(const server_account& account) {
    std::string path = (parent_folder(account) / folder_name).string();
    if (::mkdtemp(path.data()) == nullptr)
        throw cluster_error{"cannot make a folder for the test cluster (" + path + "): " +
                            std::generic_category().message(errno) + "; set TMPDIR to a folder that can be written to"};
    if (account.drops_root && ::chown(path.c_str(), account.uid, account.gid) != 0) {
        const std::string reason = std::generic_category().message(errno);
        ::rmdir(path.c_str());
        throw cluster_error{"cannot give the folder " + path + " to the user " + account.name + ": " + reason};
    }
    return path;
}

std::string read_text(const fs::path& file) {
    const std::ifstream input{file, std::ios::binary};
    std::ostringstream text;
    if (input)
        text << input.rdbuf();
    return text.str();
}

void append_text(const fs::path& file, std::string_view text) {
    std::ofstream output{file, std::ios::binary | std::ios::app};
    output << text << std::flush;
    if (!output)
        throw cluster_error{"cannot write " + file.string()};
}

std::string last_lines(std::string_view text, int count) {
    while (!text.empty() && text.back() == '\n')
        text.remove_suffix(1);
    std::size_t start = text.size();
    for (; count > 0 && start != std::string_view::npos && start > 0; --count)
        start = text.rfind('\n', start - 1);
    if (start != std::string_view::npos && start < text.size())
        text.remove_prefix(text[start] == '\n' ? start + 1 : start);
    return std::string{text};
}

} // namespace tenon::testing
