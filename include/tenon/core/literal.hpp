// A string as a template argument.
#pragma once

#include <cstddef>
#include <string_view>

namespace tenon {

/// A string literal as a template argument.
template <std::size_t N>
struct literal {
    char text[N]{};                            // NOLINT(modernize-avoid-c-arrays)
    consteval literal(const char (&from)[N]) { // NOLINT
        for (std::size_t i = 0; i < N; ++i)
            text[i] = from[i];
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {text, N - 1}; }
};

} // namespace tenon
