#pragma once

/// The temporary folder of one cluster: data/, server.log, the socket, and the watchdog's files.

#include <filesystem>
#include <string>
#include <string_view>

#include "server_binaries.hpp"

namespace tenon::testing {

/// Makes a folder that `account` owns and reaches and whose socket path fits into a sockaddr_un: under TMPDIR
/// when that allows it, else under /tmp. Throws: cluster_error.
[[nodiscard]] std::filesystem::path make_cluster_folder(const server_account& account);

/// The file's text; empty when there is no such file.
[[nodiscard]] std::string read_text(const std::filesystem::path& file);

/// Throws: cluster_error when the file cannot be written.
void append_text(const std::filesystem::path& file, std::string_view text);

/// At most the last `count` lines of `text`, without the final line end.
[[nodiscard]] std::string last_lines(std::string_view text, int count);

} // namespace tenon::testing
