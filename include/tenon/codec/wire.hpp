// One value in PostgreSQL's binary format, as it came from the server.
//
// Integers are big-endian and lengths come from outside, so every decoder asks for the size it needs and
// malformed bytes throw `decode_error` instead of being read past their end.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tenon {

/// Bytes of one value; valid while the result they belong to lives. NULL is not the empty value.
struct wire_value {
    const char* data = nullptr;
    int size = -1; ///< bytes, or -1 for NULL

    [[nodiscard]] constexpr bool is_null() const noexcept { return size < 0; }
    [[nodiscard]] std::string_view bytes() const noexcept { return {data, static_cast<std::size_t>(size)}; }
};

namespace detail {

template <std::integral T>
constexpr T big_endian(T value) noexcept {
    if constexpr (sizeof(T) == 1 || std::endian::native == std::endian::big)
        return value;
    else if constexpr (sizeof(T) == 2)
        return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
    else if constexpr (sizeof(T) == 4)
        return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
    else
        return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
}

template <std::integral T>
T load(const char* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    return big_endian(value);
}

/// Writes an integer in network byte order; returns the end of it.
template <std::integral T>
char* store(char* to, T value) noexcept {
    value = big_endian(value);
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

/// Throws decode_error: NULL, or a size that is not the type's.
[[noreturn]] void throw_bad_value(wire_value value, std::string_view pg_type);

/// Throws decode_error with `reason`.
[[noreturn]] void throw_decode_error(std::string_view reason);

/// Throws encode_error with `reason`.
[[noreturn]] void throw_encode_error(std::string_view reason);

} // namespace detail
} // namespace tenon
