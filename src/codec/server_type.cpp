#include <tenon/codec/detail/server_type.hpp>

#include <tenon/codec/detail/parts_reader.hpp>
#include <tenon/core/error.hpp>

namespace tenon::detail {

namespace {

void patch_value(buffer& out, wire_value value, const server_type& type);

void patch_oid(buffer& out, const char* where, const server_type& type) {
    out.patch(static_cast<std::size_t>(where - out.data()), static_cast<std::int32_t>(type.id));
}

void patch_array(buffer& out, wire_value value, const server_type& element) {
    parts_reader reader(value, 12, "array");
    const auto rank = load<std::int32_t>(value.data);
    patch_oid(out, value.data + 8, element);
    if (!element.holds_oids())
        return;
    for (std::int32_t i = 0; i < 2 * rank; ++i)
        (void)reader.next_number();
    while (reader.left() > 0)
        if (const wire_value part = reader.next(); !part.is_null())
            patch_value(out, part, element);
}

void patch_composite(buffer& out, wire_value value, const server_type& type) {
    parts_reader reader(value, 4, "composite");
    if (load<std::int32_t>(value.data) != static_cast<std::int32_t>(type.fields.size()))
        throw_decode_error("another number of attributes");
    for (const server_type* field : type.fields) {
        patch_oid(out, value.data + (value.size - reader.left()), *field);
        (void)reader.next_number();
        if (const wire_value part = reader.next(); !part.is_null() && field->holds_oids())
            patch_value(out, part, *field);
    }
    reader.finish();
}

void patch_value(buffer& out, wire_value value, const server_type& type) {
    if (type.element != nullptr)
        patch_array(out, value, *type.element);
    else if (!type.fields.empty())
        patch_composite(out, value, type);
}

} // namespace

void put_oids(buffer& out, std::size_t at, std::size_t size, const server_type& type) {
    try {
        patch_value(out, {out.data() + at, static_cast<int>(size)}, type);
    } catch (const decode_error&) {
        throw encode_error("the value does not have the elements or attributes of the server's type");
    }
}

} // namespace tenon::detail
