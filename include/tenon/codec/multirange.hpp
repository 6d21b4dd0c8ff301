// Multiranges: ordered ranges with gaps between them.
#pragma once

#include <cstdint>
#include <vector>

#include <tenon/codec/detail/parts_reader.hpp>
#include <tenon/codec/range.hpp>

namespace tenon {

namespace detail {

/// The server's own multirange type over an element type; without a name where there is none.
constexpr pg_type builtin_multirange(oid element) noexcept {
    switch (element) {
    case oids::int4:
        return {"int4multirange", oids::int4multirange, oids::int4multirange_array};
    case oids::int8:
        return {"int8multirange", oids::int8multirange, oids::int8multirange_array};
    case oids::numeric:
        return {"nummultirange", oids::nummultirange, oids::nummultirange_array};
    case oids::timestamp:
        return {"tsmultirange", oids::tsmultirange, oids::tsmultirange_array};
    case oids::timestamptz:
        return {"tstzmultirange", oids::tstzmultirange, oids::tstzmultirange_array};
    case oids::date:
        return {"datemultirange", oids::datemultirange, oids::datemultirange_array};
    default:
        return {};
    }
}

} // namespace detail

/// The multirange type over T's PostgreSQL type; specialise it beside `range_type`.
template <column_value T>
inline constexpr pg_type multirange_type = detail::builtin_multirange(codec<T>::type.id);

/// Ranges in any order when sent; the server sorts them, merges those that touch and drops the empty ones.
template <class T>
struct multirange {
    std::vector<range<T>> ranges;

    [[nodiscard]] bool contains(const T& value) const {
        for (const range<T>& part : ranges)
            if (part.contains(value))
                return true;
        return false;
    }

    friend bool operator==(const multirange&, const multirange&) = default;
};

namespace detail {

/// Appends the number of ranges. Throws encode_error past 2^31 - 1.
void put_multirange_header(buffer& out, std::size_t size);

/// Reads the number of ranges, which is never more than the bytes can hold, so it is safe to reserve.
std::size_t multirange_size(parts_reader& reader);

} // namespace detail

template <range_element T>
    requires(!multirange_type<T>.name.empty())
struct codec<multirange<T>> {
    static constexpr pg_type type = multirange_type<T>;

    static void encode(const multirange<T>& value, buffer& out) {
        detail::put_multirange_header(out, value.ranges.size());
        for (const range<T>& part : value.ranges)
            detail::put_part(out, part);
    }
    static multirange<T> decode(wire_value value) {
        detail::parts_reader reader(value, 0, type.name);
        const std::size_t size = detail::multirange_size(reader);
        multirange<T> result;
        result.ranges.reserve(size);
        for (std::size_t i = 0; i < size; ++i)
            result.ranges.push_back(codec<range<T>>::decode(reader.next()));
        reader.finish();
        return result;
    }
};

} // namespace tenon
