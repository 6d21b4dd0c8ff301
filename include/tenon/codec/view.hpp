// text and bytea without a copy.
//
// What is read points into the result it came from and is valid as long as that result lives: use it where the
// result is at hand, not in records that are kept. What is sent must live until the statement has run.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include <tenon/codec/text.hpp>

namespace tenon {

/// Any bytes, not owned: a bytea that stays where it is.
using bytes_view = std::span<const std::byte>;

template <>
struct codec<std::string_view> {
    static constexpr pg_type type = codec<std::string>::type;
    static constexpr auto accepts = codec<std::string>::accepts;
    static constexpr bool text_form = true;
    static constexpr bool borrows = true;

    static std::string_view view(std::string_view value) {
        detail::refuse_nul(value);
        return value;
    }
    static std::size_t size(std::string_view value) noexcept { return value.size(); }
    static char* write(std::string_view value, char* to) noexcept { return detail::write_bytes(to, value); }
    static std::string_view decode(wire_value value) {
        if (value.is_null())
            detail::throw_bad_value(value, type.name);
        return value.bytes();
    }
};

template <>
struct codec<bytes_view> {
    static constexpr pg_type type = codec<bytes>::type;
    static constexpr bool borrows = true;

    static std::string_view view(bytes_view value) noexcept {
        return {reinterpret_cast<const char*>(value.data()), value.size()};
    }
    static bytes_view decode(wire_value value) {
        if (value.is_null())
            detail::throw_bad_value(value, type.name);
        return {reinterpret_cast<const std::byte*>(value.data), static_cast<std::size_t>(value.size)};
    }
};

} // namespace tenon
