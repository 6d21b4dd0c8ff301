// Encoding to bytes and back without a server.
#pragma once

#include <string>

#include <tenon/codec/codec.hpp>

namespace tenon::tests {

template <class T>
std::string encoded(const T& value) {
    buffer out;
    tenon::encode(value, out);
    return std::string(out.bytes());
}

inline wire_value wire(const std::string& bytes) {
    return {bytes.data(), static_cast<int>(bytes.size())};
}

template <class T>
T there_and_back(const T& value) {
    const std::string bytes = encoded(value);
    return codec<T>::decode(wire(bytes));
}

template <class T>
T decoded(const std::string& bytes) {
    return codec<T>::decode(wire(bytes));
}

} // namespace tenon::tests
