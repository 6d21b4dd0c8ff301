// Random values of every column type: the limits, the special values and what lies between.
//
// `random_value<T>(source)` gives one; each type's generator is a specialisation of `generator`.
#pragma once

#include <chrono>
#include <concepts>
#include <limits>
#include <random>
#include <string>

#include <tenon/codec/codecs.hpp>

namespace tenon::tests {

using random_source = std::mt19937_64;

template <class T>
struct generator;

template <class T>
T random_value(random_source& from) {
    return generator<T>::make(from);
}

inline std::int64_t random_between(random_source& from, std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(from);
}

/// One time in `n`.
inline bool one_in(random_source& from, std::int64_t n) {
    return random_between(from, 1, n) == 1;
}

template <std::integral T>
struct generator<T> {
    static T make(random_source& from) {
        using limits = std::numeric_limits<T>;
        switch (random_between(from, 0, 5)) {
        case 0:
            return limits::min();
        case 1:
            return limits::max();
        case 2:
            return static_cast<T>(random_between(from, 0, 1));
        default:
            return static_cast<T>(from());
        }
    }
};

template <std::floating_point T>
struct generator<T> {
    static T make(random_source& from) {
        using limits = std::numeric_limits<T>;
        switch (random_between(from, 0, 9)) {
        case 0:
            return limits::quiet_NaN();
        case 1:
            return -limits::infinity();
        case 2:
            return limits::denorm_min();
        case 3:
            return limits::lowest();
        case 4:
            return -T{0};
        case 5:
            return static_cast<T>(random_between(from, -1000, 1000));
        default:
            return std::ldexp(static_cast<T>(random_between(from, -(1 << 23), 1 << 23)),
                              static_cast<int>(random_between(from, -100, 100)));
        }
    }
};

template <>
struct generator<numeric> {
    static numeric make(random_source& from) {
        switch (random_between(from, 0, 15)) {
        case 0:
            return numeric::nan();
        case 1:
            return numeric::infinity();
        case 2:
            return numeric::minus_infinity();
        case 3:
            return generator<std::int64_t>::make(from);
        default:
            break;
        }
        const auto digits = [&](std::int64_t most) {
            std::string text(static_cast<std::size_t>(random_between(from, 0, most)), '0');
            for (char& c : text)
                c = one_in(from, 3) ? '0' : static_cast<char>('0' + random_between(from, 0, 9));
            return text;
        };
        const std::int64_t most = one_in(from, 20) ? 3000 : 30;
        return numeric::parse((one_in(from, 2) ? "-0" : "0") + digits(most) + "." + digits(most)).value();
    }
};

template <>
struct generator<std::string> {
    static std::string make(random_source& from) {
        static constexpr std::string_view pieces[] = {"a",        "Z",
                                                      " ",        "'",
                                                      "\"",       "\\",
                                                      ",",        "{",
                                                      "}",        "(",
                                                      "NULL",     "\n",
                                                      "\xC3\xBC", "\xE2\x82\xAC",
                                                      "\t",       "\1",
                                                      "/",        "%s",
                                                      "$1",       "\xF0\x9F\x90\x98"};
        std::string text;
        for (std::int64_t left = random_between(from, 0, 40); left > 0; --left)
            text += pieces[static_cast<std::size_t>(random_between(from, 0, std::ssize(pieces) - 1))];
        return text;
    }
};

template <>
struct generator<bytes> {
    static bytes make(random_source& from) {
        bytes data(static_cast<std::size_t>(random_between(from, 0, 100)));
        for (std::byte& byte : data)
            byte = static_cast<std::byte>(from());
        return data;
    }
};

template <>
struct generator<uuid> {
    static uuid make(random_source& from) {
        uuid id;
        for (std::uint8_t& byte : id.bytes)
            byte = static_cast<std::uint8_t>(from());
        return id;
    }
};

// Days of timestamps and of dates: 4713 BC to the end of each type's range.
inline constexpr std::int64_t first_day = -2'440'588;

template <class Clock>
struct generator<std::chrono::time_point<Clock, std::chrono::microseconds>> {
    using time = std::chrono::time_point<Clock, std::chrono::microseconds>;
    static time make(random_source& from) {
        if (one_in(from, 10))
            return one_in(from, 2) ? infinity<time> : minus_infinity<time>;
        const bool any = one_in(from, 2);
        return time{std::chrono::days{random_between(from, any ? first_day : 0, any ? 100'000'000 : 20'000)} +
                    std::chrono::microseconds{one_in(from, 4) ? 0 : random_between(from, 0, 86'399'999'999)}};
    }
};

template <>
struct generator<date> {
    static date make(random_source& from) {
        if (one_in(from, 10))
            return one_in(from, 2) ? infinity<date> : minus_infinity<date>;
        const bool any = one_in(from, 2);
        return date{std::chrono::days{random_between(from, any ? first_day : 0, any ? 2'145'031'948 : 20'000)}};
    }
};

template <>
struct generator<std::chrono::year_month_day> {
    static std::chrono::year_month_day make(random_source& from) {
        return date{std::chrono::days{random_between(from, first_day, 2'000'000)}};
    }
};

template <>
struct generator<time_of_day> {
    static time_of_day make(random_source& from) {
        return {std::chrono::microseconds{one_in(from, 10) ? 86'400'000'000 : random_between(from, 0, 86'399'999'999)}};
    }
};

// Within what the server's text form of an interval can be read back from.
template <>
struct generator<interval> {
    static interval make(random_source& from) {
        const auto part = [&](std::int64_t most) { return one_in(from, 3) ? 0 : random_between(from, -most, most); };
        return {.months = static_cast<std::int32_t>(part(1'000'000)),
                .days = static_cast<std::int32_t>(part(1'000'000)),
                .microseconds = part(1'000'000'000'000'000)};
    }
};

template <>
struct generator<std::chrono::microseconds> {
    static std::chrono::microseconds make(random_source& from) {
        return std::chrono::microseconds{generator<interval>::make(from).microseconds};
    }
};

template <>
struct generator<inet> {
    static inet make(random_source& from) {
        inet address{.family = one_in(from, 2) ? inet::version::v4 : inet::version::v6};
        const int width = address.family == inet::version::v4 ? 4 : 16;
        for (int i = 0; i < width; ++i)
            address.bytes[static_cast<std::size_t>(i)] = one_in(from, 2) ? 0 : static_cast<std::uint8_t>(from());
        address.prefix = static_cast<std::uint8_t>(one_in(from, 2) ? 8 * width : random_between(from, 0, 8 * width));
        return address;
    }
};

// Written as jsonb writes it, so that it comes back the same.
template <>
struct generator<json_text> {
    static json_text make(random_source& from) {
        const std::string number = std::to_string(random_between(from, -1'000'000, 1'000'000));
        switch (random_between(from, 0, 4)) {
        case 0:
            return {};
        case 1:
            return {number};
        case 2:
            return {"[" + number + ", \"\xE2\x82\xAC\", {}]"};
        default:
            return {R"({"a": )" + number + R"(, "b": [true, null], "cc": "\"\\"})"};
        }
    }
};

template <>
struct generator<tsvector> {
    static tsvector make(random_source& from) {
        std::string text;
        for (char lexeme = 'a'; lexeme < 'f'; ++lexeme) {
            if (one_in(from, 2))
                continue;
            text += text.empty() ? "'" : " '";
            text += lexeme;
            text += one_in(from, 3) ? "''" : "";
            text += one_in(from, 3) ? "\\\\'" : "'";
            std::int64_t position = 0;
            for (std::int64_t left = random_between(from, 0, 3); left > 0; --left) {
                text += position == 0 ? ':' : ',';
                position += random_between(from, 1, 5000);
                text += std::to_string(position);
                text += std::string_view("ABC ").substr(static_cast<std::size_t>(random_between(from, 0, 3)), 1);
                if (text.back() == ' ')
                    text.pop_back();
            }
        }
        return {text};
    }
};

template <class T>
struct generator<std::optional<T>> {
    static std::optional<T> make(random_source& from) {
        if (one_in(from, 4))
            return std::nullopt;
        return random_value<T>(from);
    }
};

template <class T>
struct generator<std::vector<T>> {
    static std::vector<T> make(random_source& from) {
        std::vector<T> values;
        for (std::int64_t left = random_between(from, 0, 6); left > 0; --left)
            values.push_back(random_value<T>(from));
        return values;
    }
};

template <class T>
struct generator<array<T>> {
    static array<T> make(random_source& from) {
        array<T> value;
        std::int32_t size = 1;
        for (std::int64_t left = random_between(from, 0, 4); left > 0; --left) {
            value.dimensions.push_back({.size = static_cast<std::int32_t>(random_between(from, 1, 3)),
                                        .lower_bound = static_cast<std::int32_t>(random_between(from, -3, 3))});
            size *= value.dimensions.back().size;
        }
        if (!value.dimensions.empty())
            for (; size > 0; --size)
                value.elements.push_back(random_value<T>(from));
        return value;
    }
};

/// In the form that the server gives it, where ranges of integers and days are [lower, upper).
template <class T>
struct generator<range<T>> {
    static range<T> make(random_source& from) {
        constexpr bool discrete = std::integral<T> || std::is_same_v<T, date>;
        if (one_in(from, 8))
            return range<T>::none();
        range<T> value;
        if (!one_in(from, 4))
            value.lower = bound(from);
        if (!one_in(from, 4))
            value.upper = bound(from);
        if (!discrete) {
            value.lower_inclusive = one_in(from, 2);
            value.upper_inclusive = one_in(from, 2);
        }
        if (value.lower && value.upper) {
            if (*value.upper < *value.lower)
                std::swap(value.lower, value.upper);
            if (*value.upper == *value.lower && !(value.lower_inclusive && value.upper_inclusive))
                return range<T>::none();
        }
        return value;
    }

private:
    static T bound(random_source& from) {
        for (;;) {
            const T value = random_value<T>(from);
            if constexpr (std::is_same_v<T, date>) // the server's canonical form of an infinite day is another one
                if (value == infinity<date> || value == minus_infinity<date>)
                    continue;
            return value;
        }
    }
};

/// Ranges in ascending order with gaps, as the server keeps them.
template <class T>
struct generator<multirange<T>> {
    static multirange<T> make(random_source& from) {
        multirange<T> value;
        std::int64_t at = random_between(from, -1000, 1000);
        for (std::int64_t left = random_between(from, 0, 4); left > 0; --left) {
            const std::int64_t lower = at += random_between(from, 1, 100);
            const std::int64_t upper = at += random_between(from, 1, 100);
            value.ranges.push_back({.lower = point(lower), .upper = point(upper)});
        }
        return value;
    }

private:
    static T point(std::int64_t number) {
        if constexpr (std::is_constructible_v<T, std::int64_t> && !std::is_same_v<T, date>)
            return T(static_cast<std::conditional_t<std::integral<T>, T, std::int64_t>>(number));
        else
            return T{typename T::duration{number}};
    }
};

} // namespace tenon::tests
