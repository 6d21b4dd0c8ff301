// json and jsonb as the text they are, for programs that parse it themselves or only pass it on.
#pragma once

#include <array>
#include <string>

#include <tenon/codec/text.hpp>

namespace tenon {

/// JSON as text; the server checks it when it is sent. `json_text{}` is JSON's null, which is not SQL's. jsonb does not
/// keep blanks, the order of keys or repeated keys, so what comes back may be written otherwise.
struct json_text {
    std::string text{"null"};

    friend bool operator==(const json_text&, const json_text&) = default;
};

/// Sent as jsonb, which the server also takes for json columns.
template <>
struct codec<json_text> {
    static constexpr pg_type type{"jsonb", oids::jsonb, oids::jsonb_array};
    static constexpr std::array accepts{oids::json};

    static void encode(const json_text& value, buffer& out) {
        detail::refuse_nul(value.text);
        (void)write(value, out.extend(size(value)));
    }
    static std::size_t size(const json_text& value) noexcept { return 1 + value.text.size(); }
    static char* write(const json_text& value, char* to) noexcept {
        *to++ = 1; // version of jsonb's binary form
        return detail::write_bytes(to, value.text);
    }
    static json_text decode(wire_value value) {
        if (value.is_null() || value.size == 0)
            detail::throw_bad_value(value, type.name);
        // jsonb begins with its version; json is the bare text, which cannot begin with such a byte.
        const auto first = static_cast<unsigned char>(*value.data);
        if (first == 1)
            return {std::string(value.bytes().substr(1))};
        if (first < '\t')
            detail::throw_decode_error("this version of jsonb's binary form is not known");
        return {std::string(value.bytes())};
    }
};

} // namespace tenon
