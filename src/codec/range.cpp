#include <tenon/codec/range.hpp>

#include <limits>

#include <tenon/codec/detail/parts_reader.hpp>
#include <tenon/codec/multirange.hpp>

namespace tenon::detail {

range_parts split_range(wire_value value) {
    namespace flag = range_flag;
    parts_reader reader(value, 1, "range");
    range_parts parts{.flags = static_cast<unsigned char>(*value.data)};
    if (parts.flags > 0x1F)
        throw_decode_error("a range has flags that PostgreSQL does not send");
    const auto bound = [&reader] {
        const wire_value part = reader.next();
        if (part.is_null())
            throw_decode_error("a bound of a range is NULL");
        return part;
    };
    if ((parts.flags & (flag::empty | flag::lower_unbounded)) == 0)
        parts.lower = bound();
    if ((parts.flags & (flag::empty | flag::upper_unbounded)) == 0)
        parts.upper = bound();
    reader.finish();
    return parts;
}

void put_multirange_header(buffer& out, std::size_t size) {
    if (size > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        throw_encode_error("a multirange cannot have more than 2^31 - 1 ranges");
    out.put(static_cast<std::int32_t>(size));
}

std::size_t multirange_size(parts_reader& reader) {
    const std::int32_t size = reader.next_number();
    if (size < 0 || size > reader.left() / 5) // each range takes at least its length and its flags
        throw_decode_error("a multirange claims more ranges than it has bytes");
    return static_cast<std::size_t>(size);
}

} // namespace tenon::detail
