// bool, integers and floating point.
//
// A wider C++ field reads a narrower column without loss (int64 on integer, double on real), never the
// other way round. PostgreSQL has no unsigned types: use the next wider signed one.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <tenon/codec/codec.hpp>

namespace tenon {

template <>
struct codec<bool> {
    static constexpr pg_type type{"boolean", oids::boolean, oids::boolean_array};
    static constexpr std::size_t size(bool) noexcept { return 1; }
    static char* write(bool value, char* to) noexcept { return detail::store(to, static_cast<char>(value)); }
    static bool decode(wire_value value) {
        if (value.size != 1)
            detail::throw_bad_value(value, type.name);
        return *value.data != 0;
    }
};

template <>
struct codec<std::int16_t> {
    static constexpr pg_type type{"smallint", oids::int2, oids::int2_array};
    static constexpr std::size_t size(std::int16_t) noexcept { return sizeof(std::int16_t); }
    static char* write(std::int16_t value, char* to) noexcept { return detail::store(to, value); }
    static std::int16_t decode(wire_value value) {
        if (value.size != 2)
            detail::throw_bad_value(value, type.name);
        return detail::load<std::int16_t>(value.data);
    }
};

template <>
struct codec<std::int32_t> {
    static constexpr pg_type type{"integer", oids::int4, oids::int4_array};
    static constexpr std::array accepts{oids::int2};
    static constexpr std::size_t size(std::int32_t) noexcept { return sizeof(std::int32_t); }
    static char* write(std::int32_t value, char* to) noexcept { return detail::store(to, value); }
    static std::int32_t decode(wire_value value) {
        if (value.size == 4)
            return detail::load<std::int32_t>(value.data);
        if (value.size == 2)
            return detail::load<std::int16_t>(value.data);
        detail::throw_bad_value(value, type.name);
    }
};

template <>
struct codec<std::int64_t> {
    static constexpr pg_type type{"bigint", oids::int8, oids::int8_array};
    static constexpr std::array accepts{oids::int4, oids::int2};
    static constexpr std::size_t size(std::int64_t) noexcept { return sizeof(std::int64_t); }
    static char* write(std::int64_t value, char* to) noexcept { return detail::store(to, value); }
    static std::int64_t decode(wire_value value) {
        if (value.size == 8)
            return detail::load<std::int64_t>(value.data);
        if (value.size == 4)
            return detail::load<std::int32_t>(value.data);
        if (value.size == 2)
            return detail::load<std::int16_t>(value.data);
        detail::throw_bad_value(value, type.name);
    }
};

template <>
struct codec<float> {
    static constexpr pg_type type{"real", oids::float4, oids::float4_array};
    static constexpr std::size_t size(float) noexcept { return sizeof(float); }
    static char* write(float value, char* to) noexcept {
        return detail::store(to, std::bit_cast<std::uint32_t>(value));
    }
    static float decode(wire_value value) {
        if (value.size != 4)
            detail::throw_bad_value(value, type.name);
        return std::bit_cast<float>(detail::load<std::uint32_t>(value.data));
    }
};

template <>
struct codec<double> {
    static constexpr pg_type type{"double precision", oids::float8, oids::float8_array};
    static constexpr std::array accepts{oids::float4};
    static constexpr std::size_t size(double) noexcept { return sizeof(double); }
    static char* write(double value, char* to) noexcept {
        return detail::store(to, std::bit_cast<std::uint64_t>(value));
    }
    static double decode(wire_value value) {
        if (value.size == 8)
            return std::bit_cast<double>(detail::load<std::uint64_t>(value.data));
        if (value.size == 4)
            return static_cast<double>(std::bit_cast<float>(detail::load<std::uint32_t>(value.data)));
        detail::throw_bad_value(value, type.name);
    }
};

} // namespace tenon
