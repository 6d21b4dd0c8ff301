#include <tenon/codec/numeric.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace tenon {

namespace {

constexpr int base = 10'000;
constexpr int most_scale = 16'383;         // NUMERIC_DSCALE_MASK
constexpr int most_before_point = 131'072; // (NUMERIC_WEIGHT_MAX + 1) * DEC_DIGITS

void put_group(std::string& digits, int group) {
    digits += static_cast<char>(group >> 8);
    digits += static_cast<char>(group & 0xFF);
}

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

// Groups of four digits begin at the decimal point, so a position's group is its floor over 4.
int floor_div4(int n) noexcept {
    return n >= 0 ? n / 4 : -((-n + 3) / 4);
}

bool same_word(std::string_view text, std::string_view word) noexcept {
    return text.size() == word.size() && std::equal(text.begin(), text.end(), word.begin(), [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
           });
}

// Reads "e-12" as a number of digits to move the point by; nullopt when it is no exponent or absurdly large.
std::optional<int> parse_exponent(std::string_view text) noexcept {
    text.remove_prefix(1);
    if (text.size() > 1 && text[0] == '+' && is_digit(text[1]))
        text.remove_prefix(1);
    int exponent = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (failure != std::errc{} || end != text.data() + text.size() || exponent < -1'000'000 || exponent > 1'000'000)
        return std::nullopt;
    return exponent;
}

} // namespace

numeric::numeric(std::uint64_t magnitude, bool negative) : sign_(negative ? kind::negative : kind::positive) {
    std::array<int, 5> groups{};
    std::size_t count = 0;
    for (; magnitude > 0; magnitude /= base)
        groups[count++] = static_cast<int>(magnitude % base);
    while (count > 0)
        put_group(digits_, groups[--count]);
    drop_zeros(static_cast<int>(this->groups()) - 1);
}

int numeric::group(std::size_t i) const noexcept {
    return static_cast<unsigned char>(digits_[2 * i]) << 8 | static_cast<unsigned char>(digits_[2 * i + 1]);
}

// Brings it into the one form that a value has. `weight` may be out of weight_'s range before.
void numeric::drop_zeros(int weight) {
    std::size_t first = 0;
    std::size_t last = groups();
    while (first < last && group(first) == 0)
        ++first;
    while (last > first && group(last - 1) == 0)
        --last;
    if (first == last) {
        digits_.clear();
        weight_ = 0;
        sign_ = kind::positive;
        return;
    }
    digits_.resize(2 * last);
    digits_.erase(0, 2 * first);
    weight_ = static_cast<std::int16_t>(weight - static_cast<int>(first));
}

std::optional<numeric> numeric::parse(std::string_view text) {
    kind sign = kind::positive;
    if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
        if (text[0] == '-')
            sign = kind::negative;
        text.remove_prefix(1);
    } else if (same_word(text, "nan")) {
        return nan();
    }
    if (same_word(text, "infinity") || same_word(text, "inf"))
        return sign == kind::positive ? infinity() : minus_infinity();

    int exponent = 0;
    if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
        const auto parsed = parse_exponent(text.substr(e));
        if (!parsed)
            return std::nullopt;
        exponent = *parsed;
        text = text.substr(0, e);
    }
    const auto point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    const std::string_view fraction = point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
    if ((whole.empty() && fraction.empty()) || !std::all_of(whole.begin(), whole.end(), is_digit) ||
        !std::all_of(fraction.begin(), fraction.end(), is_digit))
        return std::nullopt;
    if (fraction.size() > 2'000'000)
        return std::nullopt;

    numeric result(sign);
    const int scale = std::max(0, static_cast<int>(fraction.size()) - exponent);
    if (scale > most_scale)
        return std::nullopt;
    result.scale_ = static_cast<std::uint16_t>(scale);

    // Without zeros in front, so that their number has no limit.
    const std::size_t total = whole.size() + fraction.size();
    const auto digit = [&](std::size_t i) { return (i < whole.size() ? whole[i] : fraction[i - whole.size()]) - '0'; };
    std::size_t first = 0;
    while (first < total && digit(first) == 0)
        ++first;
    if (first == total) {
        result.drop_zeros(0);
        return result;
    }
    // Digits before the point, counted from the first that is not zero; negative for 0.00x.
    const std::int64_t before =
        static_cast<std::int64_t>(whole.size()) - static_cast<std::int64_t>(first) + std::int64_t{exponent};
    if (before > most_before_point)
        return std::nullopt;
    const int top = static_cast<int>(before) - 1; // power of ten of the first digit
    const int weight = floor_div4(top);
    int group = 0;
    int place = top - 4 * weight; // power within the group: 3 to 0
    constexpr std::array powers{1, 10, 100, 1000};
    for (std::size_t i = first; i < total; ++i) {
        group += digit(i) * powers[static_cast<std::size_t>(place)];
        if (--place < 0 || i + 1 == total) {
            put_group(result.digits_, group);
            group = 0;
            place = 3;
        }
    }
    result.drop_zeros(weight);
    return result;
}

std::string numeric::to_string() const {
    switch (sign_) {
    case kind::nan:
        return "NaN";
    case kind::infinity:
        return "Infinity";
    case kind::minus_infinity:
        return "-Infinity";
    default:
        break;
    }
    std::string text;
    text.reserve(static_cast<std::size_t>(std::max<int>(weight_, 0)) * 4 + scale_ + 8U);
    // The group that counts 10,000^power, also where none is stored.
    const auto at = [&](int power) {
        const int i = weight_ - power;
        return i >= 0 && i < static_cast<int>(groups()) ? group(static_cast<std::size_t>(i)) : 0;
    };
    const auto append = [&text](int group, int digits) {
        for (int place = 1000; digits > 0; place /= 10, --digits)
            text += static_cast<char>('0' + group / place % 10);
    };
    if (sign_ == kind::negative)
        text += '-';
    if (weight_ < 0) {
        text += '0';
    } else {
        text += std::to_string(at(weight_));
        for (int power = weight_ - 1; power >= 0; --power)
            append(at(power), 4);
    }
    if (scale_ > 0) {
        text += '.';
        for (int left = scale_, power = -1; left > 0; left -= 4, --power)
            append(at(power), std::min(left, 4));
    }
    return text;
}

std::optional<std::int64_t> numeric::to_int64() const noexcept {
    if (!is_finite())
        return std::nullopt;
    if (digits_.empty())
        return 0;
    if (weight_ < 0 || weight_ > 4 || static_cast<int>(groups()) > weight_ + 1)
        return std::nullopt;
    std::int64_t value = 0; // negative all along: its range is the larger one
    for (int i = 0; i <= weight_; ++i) {
        const int next = i < static_cast<int>(groups()) ? group(static_cast<std::size_t>(i)) : 0;
        if (__builtin_mul_overflow(value, std::int64_t{base}, &value) ||
            __builtin_sub_overflow(value, std::int64_t{next}, &value))
            return std::nullopt;
    }
    if (sign_ == kind::negative)
        return value;
    if (value == std::numeric_limits<std::int64_t>::min())
        return std::nullopt;
    return -value;
}

std::optional<double> numeric::to_double() const {
    if (is_nan())
        return std::numeric_limits<double>::quiet_NaN();
    if (sign_ == kind::infinity)
        return std::numeric_limits<double>::infinity();
    if (sign_ == kind::minus_infinity)
        return -std::numeric_limits<double>::infinity();
    const std::string text = to_string();
    double value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure == std::errc{})
        return value;
    if (weight_ < 0) // smaller than any double but zero
        return sign_ == kind::negative ? -0.0 : 0.0;
    return std::nullopt;
}

int numeric::sign() const noexcept {
    if (sign_ == kind::nan || (sign_ == kind::positive && digits_.empty()))
        return 0;
    return sign_ == kind::positive || sign_ == kind::infinity ? 1 : -1;
}

numeric numeric::operator-() const {
    numeric result = *this;
    switch (sign_) {
    case kind::positive:
        if (!digits_.empty())
            result.sign_ = kind::negative;
        break;
    case kind::negative:
        result.sign_ = kind::positive;
        break;
    case kind::infinity:
        result.sign_ = kind::minus_infinity;
        break;
    case kind::minus_infinity:
        result.sign_ = kind::infinity;
        break;
    case kind::nan:
        break;
    }
    return result;
}

std::weak_ordering numeric::compare(const numeric& other) const noexcept {
    if (is_nan() || other.is_nan())
        return is_nan() <=> other.is_nan();
    if (!is_finite() || !other.is_finite()) {
        const auto rank = [](const numeric& n) { return n.is_finite() ? 0 : n.sign(); };
        return rank(*this) <=> rank(other);
    }
    if (sign() != other.sign())
        return sign() <=> other.sign();
    std::weak_ordering by_size = weight_ <=> other.weight_;
    if (by_size == 0)
        by_size = digits_.compare(other.digits_) <=> 0; // big-endian groups of the same size compare as bytes
    return sign() < 0 ? 0 <=> by_size : by_size;
}

void numeric::encode(buffer& out) const {
    out.put(static_cast<std::int16_t>(groups()));
    out.put(weight_);
    out.put(static_cast<std::uint16_t>(sign_));
    out.put(scale_);
    out.append(digits_);
}

numeric numeric::decode(wire_value value) {
    if (value.is_null() || value.size < 8)
        detail::throw_bad_value(value, "numeric");
    const std::size_t count = detail::load<std::uint16_t>(value.data);
    const int weight = detail::load<std::int16_t>(value.data + 2);
    const auto sign = static_cast<kind>(detail::load<std::uint16_t>(value.data + 4));
    const int scale = detail::load<std::uint16_t>(value.data + 6);
    if (static_cast<std::size_t>(value.size) != 8 + 2 * count)
        detail::throw_bad_value(value, "numeric");
    switch (sign) {
    case kind::nan:
    case kind::infinity:
    case kind::minus_infinity:
        return numeric(sign);
    case kind::positive:
    case kind::negative:
        break;
    default:
        detail::throw_decode_error("the sign of a numeric is none that PostgreSQL has");
    }
    if (scale > most_scale)
        detail::throw_decode_error("the scale of a numeric is greater than PostgreSQL has");

    numeric result(sign);
    result.scale_ = static_cast<std::uint16_t>(scale);
    result.digits_.assign(value.data + 8, 2 * count);
    for (std::size_t i = 0; i < count; ++i)
        if (result.group(i) >= base)
            detail::throw_decode_error("a digit of a numeric is not below 10,000");

    // Digits past the scale are cut off, as numeric_recv does: they would not be shown.
    const std::int64_t shown = std::int64_t{weight} + 1 + (scale + 3) / 4; // in groups
    if (shown < static_cast<std::int64_t>(count))
        result.digits_.resize(shown <= 0 ? 0 : 2 * static_cast<std::size_t>(shown));
    if (scale % 4 != 0 && shown > 0 && shown == static_cast<std::int64_t>(result.groups())) {
        constexpr std::array cut{1, 1000, 100, 10};
        const std::size_t last = result.groups() - 1;
        const int group = result.group(last) - result.group(last) % cut[static_cast<std::size_t>(scale % 4)];
        result.digits_[2 * last] = static_cast<char>(group >> 8);
        result.digits_[2 * last + 1] = static_cast<char>(group & 0xFF);
    }
    result.drop_zeros(weight);
    return result;
}

} // namespace tenon
