// Where a connection was asked for, so that one that is held too long can be told apart.
#pragma once

namespace tenon {

/// A place in the source. (std::source_location is missing from clang 14 with libstdc++ 12.)
struct caller {
    const char* file = "";
    int line = 0;

    /// As a default argument: the place of the call.
    [[nodiscard]] static constexpr caller here(const char* file = __builtin_FILE(),
                                               int line = __builtin_LINE()) noexcept {
        return {file, line};
    }
};

} // namespace tenon
