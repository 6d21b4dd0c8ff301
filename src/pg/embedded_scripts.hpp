// The SQL scripts of tenon's own tables, as cmake/embed_sql.cmake put them into the library.
#pragma once

#include <span>
#include <string_view>

namespace tenon::detail {

struct embedded_script {
    std::string_view name; ///< "tenon/0001_election"
    std::string_view sql;
};

/// In the order in which they are run.
[[nodiscard]] std::span<const embedded_script> embedded_scripts() noexcept;

} // namespace tenon::detail
