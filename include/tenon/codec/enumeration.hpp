// C++ enums travel as the name of their enumerator: into text and varchar columns, and into PostgreSQL
// enum types.
//
// Names are found by reflection for enumerators from 0 to 127 of enums with a fixed underlying type
// (every `enum class`). Others are named by hand, which also serves to store other labels:
//
//     template <>
//     inline constexpr auto tenon::enum_labels<Level> = tenon::labels<Level>({
//         {Level::low, "low"}, {Level::high, "high"}});
//
// An enumerator keeps its label for ever: renaming one changes what is stored.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include <tenon/codec/text.hpp>
#include <tenon/reflect/type_name.hpp>

namespace tenon {

/// An enumerator and the label it is stored under.
template <class Enum>
struct enum_label {
    Enum value{};
    std::string_view label{};
};

/// Labels given by hand; see the paragraph above.
template <class Enum, std::size_t N>
constexpr std::array<enum_label<Enum>, N>
labels(const enum_label<Enum> (&list)[N]) { // NOLINT(modernize-avoid-c-arrays)
    return std::to_array(list);
}

namespace detail {

// Every value is spelled in one function name, so an enum costs one instantiation, not 128. Enumerators
// appear by name, other values as casts: "(Color)2".
template <auto... Values>
constexpr std::string_view pretty_values() noexcept {
    return __PRETTY_FUNCTION__;
}

template <class Enum, int... I>
constexpr std::string_view pretty_enumerators(std::integer_sequence<int, I...>) noexcept {
    return pretty_values<static_cast<Enum>(I)...>();
}

inline constexpr int most_enumerators = 128;

// Takes "... Values = {Color::red, (Color)1, ...}]" apart; an unnamed value has an empty label. Clang writes
// "<...>" for "{...}".
struct spelled_labels {
    std::array<std::string_view, most_enumerators> labels{};
    std::size_t named = 0;

    consteval explicit spelled_labels(std::string_view pretty) {
        std::size_t at = pretty.rfind("Values = ") + 10;
        for (std::string_view& label : labels) {
            std::size_t end = at;
            for (int depth = 0; depth > 0 || (pretty[end] != ',' && pretty[end] != '}' && pretty[end] != '>'); ++end)
                depth += (pretty[end] == '(' || pretty[end] == '<') - (pretty[end] == ')' || pretty[end] == '>');
            // "(Color)1" is a cast; "(anonymous namespace)::Color::red" is clang's name of an enumerator.
            const std::string_view value = pretty.substr(at, end - at);
            const std::size_t close = value.rfind(')');
            if (close == std::string_view::npos || value.substr(close + 1).starts_with(':')) {
                label = after_last_scope(value);
                ++named;
            }
            at = end + 2;
        }
    }
};

template <class Enum>
constexpr auto find_labels() {
    constexpr spelled_labels all(pretty_enumerators<Enum>(std::make_integer_sequence<int, most_enumerators>{}));
    std::array<enum_label<Enum>, all.named> found{};
    std::size_t n = 0;
    for (int value = 0; value < most_enumerators; ++value)
        if (const std::string_view label = all.labels[static_cast<std::size_t>(value)]; !label.empty())
            found[n++] = {static_cast<Enum>(value), label};
    return found;
}

/// Throws encode_error: no label for this number, which is left out of the message: it is data.
[[noreturn]] void throw_unnamed_enumerator(std::string_view type);

/// Throws decode_error: no enumerator of this label. The label is left out of the message: it is data.
[[noreturn]] void throw_unknown_label(std::string_view type);

} // namespace detail

/// Labels of an enum's enumerators; specialise to name them by hand.
template <class Enum>
inline constexpr auto enum_labels = detail::find_labels<Enum>();

template <class Enum>
    requires std::is_enum_v<Enum>
struct codec<Enum> {
    static constexpr pg_type type = codec<std::string>::type;
    static constexpr auto accepts = codec<std::string>::accepts;
    static constexpr bool text_form = true;

    static_assert(!enum_labels<Enum>.empty(),
                  "tenon: no enumerator of this enum was found between 0 and 127: specialise tenon::enum_labels");

    static std::string_view view(Enum value) {
        for (const auto& known : enum_labels<Enum>)
            if (known.value == value)
                return known.label;
        detail::throw_unnamed_enumerator(type_name<Enum>);
    }
    static Enum decode(wire_value value) {
        if (value.is_null())
            detail::throw_bad_value(value, type.name);
        for (const auto& known : enum_labels<Enum>)
            if (known.label == value.bytes())
                return known.value;
        detail::throw_unknown_label(type_name<Enum>);
    }
};

} // namespace tenon
