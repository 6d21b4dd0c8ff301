// Counts what the program takes from operator new; the library's and the standard containers' both go through it.
#pragma once

#include <cstdint>

namespace bench {

/// Calls of operator new so far, in all threads.
[[nodiscard]] std::uint64_t allocations() noexcept;

} // namespace bench
