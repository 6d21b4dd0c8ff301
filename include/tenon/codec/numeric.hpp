// Exact decimal numbers: the C++ side of numeric.
//
// Holds what numeric holds: up to 131,072 digits before the decimal point and 16,383 after it, NaN and both
// infinities, and the number of digits shown: 1.50 stays 1.50. It does not calculate: that is for the
// database, or for a decimal library of one's own. Up to 28 digits need no heap.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tenon/codec/codec.hpp>

namespace tenon {

/// See the paragraph above. A value: copies are independent, const members may be called from any thread.
class numeric {
public:
    /// Zero.
    numeric() noexcept = default;

    template <std::integral T>
        requires(!std::same_as<T, bool>)
    numeric(T value) : numeric(magnitude(value), value < T{0}) {} // NOLINT(google-explicit-constructor): loses nothing

    /// Binary fractions are not decimal ones: write the number as text and `parse` it.
    template <std::floating_point T>
    numeric(T) = delete;

    /// Reads "-12.50", "6.02e23", "NaN", "Infinity", "-inf", as numeric's input does, without surrounding
    /// blanks; nullopt for anything else and for more digits than numeric can hold.
    [[nodiscard]] static std::optional<numeric> parse(std::string_view text);

    [[nodiscard]] static numeric nan() noexcept { return numeric(kind::nan); }
    [[nodiscard]] static numeric infinity() noexcept { return numeric(kind::infinity); }
    [[nodiscard]] static numeric minus_infinity() noexcept { return numeric(kind::minus_infinity); }

    /// As PostgreSQL writes it: all digits, never an exponent.
    [[nodiscard]] std::string to_string() const;

    /// The same whole number; nullopt when it has a fraction, is out of range, infinite or NaN.
    [[nodiscard]] std::optional<std::int64_t> to_int64() const noexcept;

    /// The nearest double; nullopt when it is finite here and would be infinite there.
    [[nodiscard]] std::optional<double> to_double() const;

    [[nodiscard]] bool is_nan() const noexcept { return sign_ == kind::nan; }
    [[nodiscard]] bool is_finite() const noexcept { return sign_ == kind::positive || sign_ == kind::negative; }

    /// -1, 0 or 1; 0 for NaN.
    [[nodiscard]] int sign() const noexcept;

    /// Digits shown after the decimal point.
    [[nodiscard]] int scale() const noexcept { return scale_; }

    /// The same with the other sign; NaN stays NaN.
    [[nodiscard]] numeric operator-() const;

    /// By value, as PostgreSQL: 1.5 equals 1.50; NaN equals itself and is greater than all others.
    friend std::weak_ordering operator<=>(const numeric& a, const numeric& b) noexcept { return a.compare(b); }
    friend bool operator==(const numeric& a, const numeric& b) noexcept { return a.compare(b) == 0; }

private:
    friend struct codec<numeric>;

    // Values of the wire format's sign field (src/backend/utils/adt/numeric.c).
    enum class kind : std::uint16_t {
        positive = 0,
        negative = 0x4000,
        nan = 0xC000,
        infinity = 0xD000,
        minus_infinity = 0xF000
    };

    explicit numeric(kind special) noexcept : sign_(special) {}
    numeric(std::uint64_t magnitude, bool negative);

    template <class T>
    static constexpr std::uint64_t magnitude(T value) noexcept {
        const auto bits = static_cast<std::uint64_t>(value); // sign-extended, so its complement is the magnitude
        return value < T{0} ? 0 - bits : bits;
    }

    [[nodiscard]] std::size_t groups() const noexcept { return digits_.size() / 2; }
    [[nodiscard]] int group(std::size_t i) const noexcept;
    [[nodiscard]] std::weak_ordering compare(const numeric& other) const noexcept;
    void drop_zeros(int weight);

    void encode(buffer& out) const;
    static numeric decode(wire_value value);

    std::string digits_{};    // base 10,000, two bytes each as on the wire; neither begins nor ends with a zero
    std::int16_t weight_ = 0; // the first group counts 10,000^weight
    kind sign_ = kind::positive;
    std::uint16_t scale_ = 0;
};

template <>
struct codec<numeric> {
    static constexpr pg_type type{"numeric", oids::numeric, oids::numeric_array};
    static void encode(const numeric& value, buffer& out) { value.encode(out); }
    static numeric decode(wire_value value) { return numeric::decode(value); }
};

} // namespace tenon
