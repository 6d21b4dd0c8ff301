// What the server's DETAIL of a violated key tells.
#pragma once

#include <string>
#include <string_view>

namespace tenon::detail {

/// The columns of the key, as they are named: `userId` of "Key (\"userId\")=(1) already exists.", "a, b" of several,
/// and an index's expression as it is written. Values are left out. Empty when the text names no key.
[[nodiscard]] std::string columns_in(std::string_view detail);

} // namespace tenon::detail
