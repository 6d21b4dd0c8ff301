// text and bytea.
//
// Text is UTF-8 on every session. PostgreSQL's text cannot hold NUL, so a C++ string with an embedded NUL
// is refused before it is sent; use `tenon::bytes` for data that may hold any byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <tenon/codec/codec.hpp>

namespace tenon {

/// Any bytes: the C++ side of bytea.
using bytes = std::vector<std::byte>;

namespace detail {

inline void refuse_nul(std::string_view text) {
    if (!text.empty() && std::memchr(text.data(), 0, text.size()) != nullptr)
        throw_encode_error(
            "text with an embedded NUL cannot be stored in PostgreSQL: remove it, or use tenon::bytes (bytea)");
}

} // namespace detail

template <>
struct codec<std::string> {
    static constexpr pg_type type{"text", oids::text, oids::text_array};
    static constexpr std::array accepts{oids::varchar, oids::bpchar, oids::name, oids::json, oids::xml, oids::unknown};
    static constexpr bool text_form = true;

    static std::string_view view(const std::string& value) {
        detail::refuse_nul(value);
        return value;
    }
    static std::size_t size(const std::string& value) noexcept { return value.size(); }
    static char* write(const std::string& value, char* to) noexcept { return detail::write_bytes(to, value); }
    static std::string decode(wire_value value) {
        if (value.is_null())
            detail::throw_bad_value(value, type.name);
        return std::string(value.bytes());
    }
};

template <>
struct codec<bytes> {
    static constexpr pg_type type{"bytea", oids::bytea, oids::bytea_array};

    static std::string_view view(const bytes& value) noexcept {
        return {reinterpret_cast<const char*>(value.data()), value.size()};
    }
    static bytes decode(wire_value value) {
        if (value.is_null())
            detail::throw_bad_value(value, type.name);
        const auto* const first = reinterpret_cast<const std::byte*>(value.data);
        return bytes(first, first + value.size);
    }
};

} // namespace tenon
