// A span of time as PostgreSQL's interval has it: months, days and microseconds, which do not convert into
// each other, because months have 28 to 31 days and days 23 to 25 hours.
//
// A column that only ever holds exact spans can be a std::chrono::microseconds instead.
#pragma once

#include <chrono>
#include <cstdint>

#include <tenon/codec/chrono.hpp>

namespace tenon {

/// See the paragraph above. Compares field by field: one month and 30 days are different intervals here, though
/// PostgreSQL's `=` says otherwise.
struct interval {
    std::int32_t months = 0;
    std::int32_t days = 0;
    std::int64_t microseconds = 0;

    /// An exact span: `interval::of(90min)`.
    [[nodiscard]] static constexpr interval of(std::chrono::microseconds span) noexcept {
        return {.microseconds = span.count()};
    }

    friend bool operator==(const interval&, const interval&) = default;
};

/// 'infinity' and '-infinity' of PostgreSQL 17; older servers take them for very long intervals.
template <>
inline constexpr interval infinity<interval>{INT32_MAX, INT32_MAX, INT64_MAX};
template <>
inline constexpr interval minus_infinity<interval>{INT32_MIN, INT32_MIN, INT64_MIN};

template <>
struct codec<interval> {
    static constexpr pg_type type{"interval", oids::interval, oids::interval_array};

    static constexpr std::size_t size(const interval&) noexcept { return 16; }
    static char* write(const interval& value, char* to) noexcept {
        return detail::store(detail::store(detail::store(to, value.microseconds), value.days), value.months);
    }
    static interval decode(wire_value value) {
        if (value.size != 16)
            detail::throw_bad_value(value, type.name);
        return {.months = detail::load<std::int32_t>(value.data + 12),
                .days = detail::load<std::int32_t>(value.data + 8),
                .microseconds = detail::load<std::int64_t>(value.data)};
    }
};

/// Reads intervals without months and days only; others throw decode_error.
template <>
struct codec<std::chrono::microseconds> {
    static constexpr pg_type type = codec<interval>::type;

    static constexpr std::size_t size(std::chrono::microseconds) noexcept { return 16; }
    static char* write(std::chrono::microseconds value, char* to) {
        return codec<interval>::write(interval::of(value), to);
    }
    static std::chrono::microseconds decode(wire_value value) {
        const interval span = codec<interval>::decode(value);
        if (span.months != 0 || span.days != 0)
            detail::throw_decode_error(
                "an interval with months or days is no std::chrono duration: use tenon::interval");
        return std::chrono::microseconds{span.microseconds};
    }
};

} // namespace tenon
