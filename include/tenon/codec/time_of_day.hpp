// A time of day without date and time zone: the C++ side of time.
#pragma once

#include <chrono>
#include <compare>

#include <tenon/codec/codec.hpp>

namespace tenon {

/// Microseconds since midnight, from 00:00 to 24:00 inclusive: `tenon::time_of_day{8h + 30min}`.
struct time_of_day {
    std::chrono::microseconds since_midnight{};

    friend auto operator<=>(const time_of_day&, const time_of_day&) = default;
};

template <>
struct codec<time_of_day> {
    static constexpr pg_type type{"time", oids::time, oids::time_array};

    static constexpr std::size_t size(time_of_day) noexcept { return 8; }
    static char* write(time_of_day value, char* to) {
        if (value.since_midnight < std::chrono::microseconds{0} || value.since_midnight > std::chrono::hours{24})
            detail::throw_encode_error("a time of day must be from 00:00 to 24:00");
        return detail::store(to, std::int64_t{value.since_midnight.count()});
    }
    static time_of_day decode(wire_value value) {
        if (value.size != 8)
            detail::throw_bad_value(value, type.name);
        const std::chrono::microseconds time{detail::load<std::int64_t>(value.data)};
        if (time < std::chrono::microseconds{0} || time > std::chrono::hours{24})
            detail::throw_decode_error("a time of day is outside of 00:00 to 24:00");
        return {time};
    }
};

} // namespace tenon
