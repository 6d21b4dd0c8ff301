#include <tenon/codec/composite.hpp>

#include <string>

namespace tenon::detail {

namespace {

constexpr oid first_own_oid = 10'000; // FirstGenbkiObjectId: below it, OIDs are the same in every database

std::string place(std::string_view type, std::string_view field) {
    return std::string(type) + "::" + std::string(field) + ": ";
}

} // namespace

void open_composite(parts_reader& reader, std::size_t fields) {
    const std::int32_t found = reader.next_number();
    if (found < 0 || static_cast<std::size_t>(found) != fields)
        throw_decode_error("a composite type has another number of attributes than the struct has fields");
}

wire_value next_composite_field(parts_reader& reader, const value_shape& shape) {
    const auto type = static_cast<oid>(reader.next_number());
    if (type < first_own_oid && shape.type.id != 0 && !shape.fits(type))
        throw_decode_error("the attribute is of another type than " + std::string(shape.type.name));
    return reader.next();
}

void rethrow_in_composite(const decode_error& cause, std::string_view type, std::string_view field) {
    throw decode_error(place(type, field) + cause.what());
}

void rethrow_in_composite(const encode_error& cause, std::string_view type, std::string_view field) {
    throw encode_error(place(type, field) + cause.what());
}

} // namespace tenon::detail
