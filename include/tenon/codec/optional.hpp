// NULL: a field that may be absent is a std::optional.
#pragma once

#include <optional>

#include <tenon/codec/codec.hpp>

namespace tenon {

namespace detail {

template <class T>
struct not_null<std::optional<T>> {
    using type = T;
    static constexpr bool nullable = true;
};

} // namespace detail

/// `encode` is only called for a value; whoever writes the length tests for NULL first.
template <column_value T>
    requires(!detail::not_null<T>::nullable)
struct codec<std::optional<T>> {
    static constexpr pg_type type = codec<T>::type;
    static void encode(const std::optional<T>& value, buffer& out) { tenon::encode(*value, out); }
    static std::optional<T> decode(wire_value value) {
        if (value.is_null())
            return std::nullopt;
        return codec<T>::decode(value);
    }
};

} // namespace tenon
