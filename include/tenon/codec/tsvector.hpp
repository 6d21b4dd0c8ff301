// Documents prepared for text search, as text.
#pragma once

#include <string>

#include <tenon/codec/codec.hpp>

namespace tenon {

/// The text form of a tsvector, as PostgreSQL writes it: `'fat':2A 'rat':3`. Most such columns are generated and only
/// read; what is sent must have that form, with positions in ascending order.
struct tsvector {
    std::string text{};

    friend bool operator==(const tsvector&, const tsvector&) = default;
};

namespace detail {
void encode_tsvector(const tsvector& value, buffer& out);
tsvector decode_tsvector(wire_value value);
} // namespace detail

template <>
struct codec<tsvector> {
    static constexpr pg_type type{"tsvector", oids::tsvector, oids::tsvector_array};
    static void encode(const tsvector& value, buffer& out) { detail::encode_tsvector(value, out); }
    static tsvector decode(wire_value value) { return detail::decode_tsvector(value); }
};

} // namespace tenon
