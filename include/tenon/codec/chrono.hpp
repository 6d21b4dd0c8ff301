// timestamptz, timestamp and date as std::chrono times.
//
// PostgreSQL counts microseconds (days) from 2000-01-01; std::chrono from 1970-01-01. Infinity is the
// greatest or least value of the type on both sides. `std::chrono::system_clock::time_point` counts
// nanoseconds: it ends in 2262 and would lose nanoseconds, so use `tenon::timestamp` for columns.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <tenon/codec/codec.hpp>

namespace tenon {

/// A point in time with microseconds, 4713 BC to 294246 AD: the C++ side of timestamptz.
using timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// A date and a time of day without time zone, what a clock on the wall shows: the C++ side of timestamp. It is no
/// point in time; most columns want `tenon::timestamp` (timestamptz).
using local_timestamp = std::chrono::local_time<std::chrono::microseconds>;

/// A calendar day: the C++ side of date. `std::chrono::year_month_day` converts to it and back.
using date = std::chrono::sys_days;

/// 'infinity', later than all times; and '-infinity', earlier than all.
template <class Time>
inline constexpr Time infinity = Time::max();
template <class Time>
inline constexpr Time minus_infinity = Time::min();

namespace detail {

// 2000-01-01 minus 1970-01-01.
inline constexpr std::int32_t epoch_days = 10957;
inline constexpr std::int64_t epoch_microseconds = std::int64_t{epoch_days} * 86'400'000'000;

// Both kinds of timestamp have the same form; the greatest and the least number are the infinities.
inline char* write_time(std::chrono::microseconds since_1970, char* to) {
    std::int64_t since_2000 = since_1970.count();
    if (since_2000 != INT64_MAX && since_2000 != INT64_MIN &&
        (__builtin_sub_overflow(since_2000, epoch_microseconds, &since_2000) || since_2000 == INT64_MIN))
        throw_encode_error("the time is earlier than PostgreSQL can hold (4713 BC)");
    return store(to, since_2000);
}

inline std::chrono::microseconds load_time(wire_value value, std::string_view pg_type) {
    if (value.size != 8)
        throw_bad_value(value, pg_type);
    auto since_1970 = load<std::int64_t>(value.data);
    if (since_1970 != INT64_MAX && since_1970 != INT64_MIN &&
        (__builtin_add_overflow(since_1970, epoch_microseconds, &since_1970) || since_1970 == INT64_MAX))
        throw_decode_error("the time is later than 64 bits of microseconds since 1970 can hold (294246 AD)");
    return std::chrono::microseconds{since_1970};
}

} // namespace detail

template <>
struct codec<timestamp> {
    static constexpr pg_type type{"timestamptz", oids::timestamptz, oids::timestamptz_array};
    static constexpr std::size_t size(timestamp) noexcept { return 8; }
    static char* write(timestamp value, char* to) { return detail::write_time(value.time_since_epoch(), to); }
    static timestamp decode(wire_value value) { return timestamp{detail::load_time(value, type.name)}; }
};

template <>
struct codec<local_timestamp> {
    static constexpr pg_type type{"timestamp", oids::timestamp, oids::timestamp_array};
    static constexpr std::size_t size(local_timestamp) noexcept { return 8; }
    static char* write(local_timestamp value, char* to) { return detail::write_time(value.time_since_epoch(), to); }
    static local_timestamp decode(wire_value value) { return local_timestamp{detail::load_time(value, type.name)}; }
};

template <>
struct codec<date> {
    static constexpr pg_type type{"date", oids::date, oids::date_array};

    static constexpr std::size_t size(date) noexcept { return 4; }
    static char* write(date value, char* to) {
        if (value == infinity<date>)
            return detail::store(to, INT32_MAX);
        if (value == minus_infinity<date>)
            return detail::store(to, INT32_MIN);
        std::int64_t since_2000 = value.time_since_epoch().count();
        if (__builtin_sub_overflow(since_2000, std::int64_t{detail::epoch_days}, &since_2000) ||
            since_2000 <= INT32_MIN || since_2000 >= INT32_MAX)
            detail::throw_encode_error("the day is outside of what date can hold (4713 BC to 5874897 AD)");
        return detail::store(to, static_cast<std::int32_t>(since_2000));
    }
    static date decode(wire_value value) {
        if (value.size != 4)
            detail::throw_bad_value(value, type.name);
        const auto days = detail::load<std::int32_t>(value.data);
        if (days == INT32_MAX)
            return infinity<date>;
        if (days == INT32_MIN)
            return minus_infinity<date>;
        return date{std::chrono::days{std::int64_t{days} + detail::epoch_days}};
    }
};

template <>
struct codec<std::chrono::year_month_day> {
    static constexpr pg_type type = codec<date>::type;

    static constexpr std::size_t size(std::chrono::year_month_day) noexcept { return 4; }
    static char* write(std::chrono::year_month_day value, char* to) {
        if (!value.ok())
            detail::throw_encode_error("the year_month_day is not a day of the calendar");
        return codec<date>::write(value, to);
    }
    static std::chrono::year_month_day decode(wire_value value) {
        const date day = codec<date>::decode(value);
        if (day < date{std::chrono::year_month_day{std::chrono::year::min(), std::chrono::January,
                                                   std::chrono::day{1}}} ||
            day > date{std::chrono::year_month_day{std::chrono::year::max(), std::chrono::December,
                                                   std::chrono::day{31}}})
            detail::throw_decode_error("the day is outside of year_month_day (years -32767 to 32767): use tenon::date");
        return day;
    }
};

} // namespace tenon
