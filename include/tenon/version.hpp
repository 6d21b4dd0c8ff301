// The version of this tenon. CMake reads the three numbers from this file, so it is the only place
// to change them.
#pragma once

#include <string_view>

namespace tenon {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;

inline constexpr std::string_view version_string = "0.1.0";

} // namespace tenon
