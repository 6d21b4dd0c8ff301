#pragma once

/// The settings of a test server, as text for postgresql.conf.

#include <string>
#include <utility>
#include <vector>

namespace tenon::testing {

using server_settings = std::vector<std::pair<std::string, std::string>>;

/// What every cluster starts from: quick, and lost with the machine's power.
[[nodiscard]] server_settings cluster_defaults();

/// One line for each setting. Throws: cluster_error for a name or a value that would not stay within its line.
[[nodiscard]] std::string setting_lines(const server_settings& settings);

} // namespace tenon::testing
