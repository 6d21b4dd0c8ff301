// What a decoder owes to any bytes.
#pragma once

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include <tenon/codec/codec.hpp>
#include <tenon/core/error.hpp>

namespace tenon::fuzz {

/// Decodes `bytes`, which are a value or throw decode_error; a value must encode again and be the same after it.
/// Returns whether they are a value. Throws std::logic_error when a promise is broken.
template <class T>
bool survives(std::string_view bytes) {
    const auto decode = [](std::string_view from) {
        return codec<T>::decode({from.data(), static_cast<int>(from.size())});
    };
    const auto encode = [](const T& value, buffer& out) {
        try {
            tenon::encode(value, out);
        } catch (const encode_error& refused) {
            // The server has no NUL in text, so it is not looked for when reading.
            if (std::string_view(refused.what()).find("NUL") == std::string_view::npos)
                throw std::logic_error(std::string("what was read cannot be written: ") + refused.what());
            return false;
        }
        return true;
    };
    buffer first;
    buffer second;
    try {
        const T value = decode(bytes);
        if (!encode(value, first))
            return true;
        const T again = [&] {
            try {
                return decode(first.bytes());
            } catch (const decode_error& refused) {
                throw std::logic_error(std::string("what was written cannot be read: ") + refused.what());
            }
        }();
        (void)encode(again, second);
        if (first.bytes() != second.bytes())
            throw std::logic_error("the same value was written in two ways");
        if constexpr (std::equality_comparable<T>)
            if (value == value && !(value == again)) // NaN differs from itself
                throw std::logic_error("another value came back");
    } catch (const decode_error&) {
        return false;
    }
    return true;
}

} // namespace tenon::fuzz
