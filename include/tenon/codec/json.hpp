// json and jsonb as nlohmann::json. Opt-in: include it where records hold JSON; `tenon.hpp` leaves it out,
// because parsing nlohmann's header costs each translation unit most of a second.
#pragma once

#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include <tenon/codec/text.hpp>

namespace tenon {

/// Sent as jsonb, which the server also takes for json columns. `nlohmann::json(nullptr)` is JSON's null,
/// not SQL's: a nullable column is a std::optional<nlohmann::json>.
template <>
struct codec<nlohmann::json> {
    static constexpr pg_type type{"jsonb", oids::jsonb, oids::jsonb_array};
    static constexpr std::array accepts{oids::json};

    static void encode(const nlohmann::json& value, buffer& out) {
        out.put(char{1}); // version of jsonb's binary form
        try {
            out.append(value.dump());
        } catch (const nlohmann::json::exception&) { // its message quotes the text
            detail::throw_encode_error("a string of the JSON value is not UTF-8");
        }
    }
    static nlohmann::json decode(wire_value value) {
        if (value.is_null() || value.size == 0)
            detail::throw_bad_value(value, type.name);
        // jsonb begins with its version; json is the bare text, which cannot begin with that byte.
        const std::string_view text = value.bytes().substr(value.data[0] == 1 ? 1 : 0);
        nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
        if (parsed.is_discarded())
            detail::throw_decode_error("the bytes are not JSON");
        return parsed;
    }
};

} // namespace tenon
