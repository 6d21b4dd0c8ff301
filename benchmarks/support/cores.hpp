// Which core this program and the backends of its sessions run on.
#pragma once

#include <span>

namespace bench {

enum class placement { one_core, separate_cores };

/// Pins this thread and the processes `backends` to one core, or it to one core and them to another. False when that
/// is not possible: too few cores, or the processes belong to somebody else.
[[nodiscard]] bool place(placement wanted, std::span<const int> backends) noexcept;

} // namespace bench
