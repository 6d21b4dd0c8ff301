// Text forms of uuids and times for libraries that have no conversion of their own: hand-written and lean.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <tenon/codec/chrono.hpp>
#include <tenon/codec/uuid.hpp>

namespace bench {

inline tenon::uuid uuid_from(std::string_view text) {
    const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    tenon::uuid id;
    std::size_t at = 0;
    for (auto& byte : id.bytes) {
        if (text[at] == '-')
            ++at;
        byte = static_cast<std::uint8_t>(digit(text[at]) << 4U | digit(text[at + 1]));
        at += 2;
    }
    return id;
}

// "2024-02-29 12:34:56.789+00"
inline tenon::timestamp time_from(std::string_view text) {
    const auto number = [&](std::size_t at, std::size_t size) {
        int value = 0;
        std::from_chars(text.data() + at, text.data() + at + size, value);
        return value;
    };
    const std::chrono::sys_days day = std::chrono::year{number(0, 4)} /
                                      std::chrono::month{static_cast<unsigned>(number(5, 2))} /
                                      std::chrono::day{static_cast<unsigned>(number(8, 2))};
    tenon::timestamp time = day + std::chrono::hours{number(11, 2)} + std::chrono::minutes{number(14, 2)} +
                            std::chrono::seconds{number(17, 2)};
    if (text[19] == '.') {
        std::size_t digits = 0;
        int fraction = 0;
        for (; digits < 6 && text[20 + digits] >= '0' && text[20 + digits] <= '9'; ++digits)
            fraction = fraction * 10 + (text[20 + digits] - '0');
        for (; digits < 6; ++digits)
            fraction *= 10;
        time += std::chrono::microseconds{fraction};
    }
    return time;
}

inline std::string text_of(tenon::timestamp time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    std::int64_t rest = (time - day).count();
    std::string text = "0000-00-00 00:00:00.000000+00";
    const auto put = [&](std::size_t end, std::int64_t value, int digits) {
        for (; digits > 0; --digits, value /= 10)
            text[--end] = static_cast<char>('0' + value % 10);
    };
    put(4, static_cast<int>(date.year()), 4);
    put(7, static_cast<unsigned>(date.month()), 2);
    put(10, static_cast<unsigned>(date.day()), 2);
    put(26, rest % 1'000'000, 6);
    rest /= 1'000'000;
    put(19, rest % 60, 2);
    put(16, rest / 60 % 60, 2);
    put(13, rest / 3600, 2);
    return text;
}

} // namespace bench
