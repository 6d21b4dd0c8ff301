#include "server_settings.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <tenon/testing/cluster.hpp>

namespace tenon::testing {
namespace {

// A line of postgresql.conf (manual, "Parameter Interaction via the Configuration File").
std::string setting_line(const std::string& name, const std::string& value) {
    const bool legal = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '.';
    });
    if (!legal || value.find_first_of(std::string_view{"\n\0", 2}) != std::string::npos)
        throw cluster_error{"cluster_options::settings: \"" + name +
                            "\" needs a parameter's name (letters, digits, _ and .) and a value of one line"};
    std::string line = name + " = '";
    for (const char c : value) {
        if (c == '\'' || c == '\\')
            line += c;
        line += c;
    }
    return line + "'\n";
}

} // namespace

server_settings cluster_defaults() {
    return {
        {"fsync", "off"},
        {"full_page_writes", "off"},
        {"max_connections", "100"},
        {"max_prepared_transactions", "10"},
        {"wal_level", "replica"},
        // A standby may fall back this far before it needs a new base backup.
        {"wal_keep_size", "256MB"},
        // A standby comes back this soon after its primary did; PostgreSQL has 5 s.
        {"wal_retrieve_retry_interval", "100ms"},
        // As files of the data directory it goes with it, after a crash too.
        {"dynamic_shared_memory_type", "mmap"},
        {"timezone", "UTC"},
        {"log_timezone", "UTC"},
        // For who has its URL only: the server will not outlive the tests.
        {"tenon.ephemeral", "on"},
    };
}

std::string setting_lines(const server_settings& settings) {
    std::string lines;
    for (const auto& [name, value] : settings)
        lines += setting_line(name, value);
    return lines;
}

} // namespace tenon::testing
