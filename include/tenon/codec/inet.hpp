// Network addresses: the C++ side of inet and cidr.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tenon/codec/codec.hpp>

namespace tenon {

/// An IPv4 or IPv6 address with the length of its network's prefix. Reads inet and cidr; is sent as inet, which the
/// server turns into cidr where a column of that type is assigned.
struct inet {
    enum class version : std::uint8_t { v4 = 4, v6 = 6 };

    version family = version::v4;
    std::array<std::uint8_t, 16> bytes{}; ///< in network order; of an IPv4 address the first four, the others 0
    std::uint8_t prefix = 32;             ///< bits of the network: 32 (128) for a single host
    bool is_cidr = false;                 ///< read from a cidr: a network, without host bits

    /// Reads "192.0.2.1", "192.0.2.0/24", "2001:db8::1/64"; nullopt for anything else.
    [[nodiscard]] static std::optional<inet> parse(std::string_view text);

    /// The address, and "/prefix" for a cidr and for what is no single host: "192.0.2.0/24".
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const inet&, const inet&) = default;
};

namespace detail {
void encode_inet(const inet& value, buffer& out);
inet decode_inet(wire_value value);
} // namespace detail

template <>
struct codec<inet> {
    static constexpr pg_type type{"inet", oids::inet, oids::inet_array};
    static constexpr std::array accepts{oids::cidr};
    static void encode(const inet& value, buffer& out) { detail::encode_inet(value, out); }
    static inet decode(wire_value value) { return detail::decode_inet(value); }
};

} // namespace tenon
