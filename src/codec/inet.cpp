#include <tenon/codec/inet.hpp>

#include <arpa/inet.h>

#include <charconv>

namespace tenon {

namespace {

// PostgreSQL's numbers of the families (src/include/utils/inet.h), the same on every platform.
constexpr char wire_v4 = 2;
constexpr char wire_v6 = 3;

int width(inet::version family) noexcept {
    return family == inet::version::v4 ? 4 : 16;
}

bool is_valid(const inet& value) noexcept {
    if ((value.family != inet::version::v4 && value.family != inet::version::v6) ||
        value.prefix > 8 * width(value.family))
        return false;
    for (std::size_t i = static_cast<std::size_t>(width(value.family)); i < value.bytes.size(); ++i)
        if (value.bytes[i] != 0)
            return false;
    return true;
}

} // namespace

std::optional<inet> inet::parse(std::string_view text) {
    const auto slash = text.find('/');
    const std::string address(text.substr(0, slash));
    inet result;
    if (address.find('\0') != std::string::npos)
        return std::nullopt;
    if (address.find(':') == std::string::npos) {
        if (::inet_pton(AF_INET, address.c_str(), result.bytes.data()) != 1)
            return std::nullopt;
    } else {
        result.family = version::v6;
        if (::inet_pton(AF_INET6, address.c_str(), result.bytes.data()) != 1)
            return std::nullopt;
    }
    result.prefix = static_cast<std::uint8_t>(8 * width(result.family));
    if (slash != std::string_view::npos) {
        const std::string_view bits = text.substr(slash + 1);
        std::uint8_t prefix = 0;
        const auto [end, failure] = std::from_chars(bits.data(), bits.data() + bits.size(), prefix);
        if (failure != std::errc{} || end != bits.data() + bits.size() || prefix > result.prefix)
            return std::nullopt;
        result.prefix = prefix;
    }
    return result;
}

std::string inet::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(family == version::v4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
    std::string result(text.data());
    if (is_cidr || prefix != 8 * width(family)) {
        result += '/';
        result += std::to_string(prefix);
    }
    return result;
}

namespace detail {

void encode_inet(const inet& value, buffer& out) {
    if (!is_valid(value))
        throw_encode_error("a tenon::inet has a prefix longer than its address, or bytes behind an IPv4 address");
    const int size = width(value.family);
    out.put(value.family == inet::version::v4 ? wire_v4 : wire_v6);
    out.put(value.prefix);
    out.put(static_cast<char>(value.is_cidr));
    out.put(static_cast<char>(size));
    out.append({reinterpret_cast<const char*>(value.bytes.data()), static_cast<std::size_t>(size)});
}

inet decode_inet(wire_value value) {
    if (value.is_null() || (value.size != 8 && value.size != 20))
        throw_bad_value(value, "inet");
    const bool v4 = value.size == 8;
    inet result;
    result.family = v4 ? inet::version::v4 : inet::version::v6;
    result.prefix = static_cast<std::uint8_t>(value.data[1]);
    result.is_cidr = value.data[2] != 0;
    if (value.data[0] != (v4 ? wire_v4 : wire_v6) || value.data[3] != width(result.family) ||
        result.prefix > 8 * width(result.family))
        throw_decode_error("the family, prefix or length of a network address do not fit each other");
    std::memcpy(result.bytes.data(), value.data + 4, static_cast<std::size_t>(width(result.family)));
    return result;
}

} // namespace detail
} // namespace tenon
