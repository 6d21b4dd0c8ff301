#include <tenon/codec/wire.hpp>

#include <string>

#include <tenon/core/error.hpp>

namespace tenon::detail {

void throw_bad_value(wire_value value, std::string_view pg_type) {
    if (value.is_null())
        throw decode_error("NULL has no value in a field that is not std::optional");
    throw decode_error(std::to_string(value.size) + " bytes are not a value of type " + std::string(pg_type));
}

void throw_decode_error(std::string_view reason) {
    throw decode_error(std::string(reason));
}

void throw_encode_error(std::string_view reason) {
    throw encode_error(std::string(reason));
}

} // namespace tenon::detail
