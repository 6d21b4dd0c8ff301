// A column at the call site: `col<&User::email>`.
//
// Comparing it with a value gives a condition, assigning to it gives an assignment. The column is a type,
// so a misspelt field or a value of the wrong type does not compile.
#pragma once

#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <tenon/codec/chrono.hpp>
#include <tenon/codec/optional.hpp>
#include <tenon/sql/table.hpp>
#include <tenon/sql/writer.hpp>

namespace tenon {

namespace detail {

template <class T>
inline constexpr bool is_sys_time = false;
template <class Duration>
inline constexpr bool is_sys_time<std::chrono::sys_time<Duration>> = true;

template <class T>
concept number = std::is_arithmetic_v<T> && !std::same_as<T, bool>;

/// Values of type `V` that can stand for a column of type `T`: the same type, or one that converts without
/// surprise. Integers and doubles do not mix, and a bare number is not an id.
template <class T, class V>
concept stands_for = std::same_as<T, V> || (number<T> && number<V> && (std::floating_point<T> || std::integral<V>)) ||
                     (std::same_as<T, std::string> && std::convertible_to<const V&, std::string_view>) ||
                     (std::same_as<T, timestamp> && is_sys_time<V>) ||
                     (!std::is_arithmetic_v<T> && !std::is_arithmetic_v<V> && !std::same_as<T, std::string> &&
                      !std::same_as<T, timestamp> && std::convertible_to<const V&, T>);

[[noreturn]] void throw_number_out_of_range(std::string_view column);

/// Converts `value` to the column's type. Throws encode_error when an integer does not fit.
template <class T, class V>
T as_column_value(const V& value, std::string_view column = "key") {
    if constexpr (std::integral<T> && number<T> && !std::same_as<T, V>) {
        if (!std::in_range<T>(value))
            throw_number_out_of_range(column);
        return static_cast<T>(value);
    } else if constexpr (number<T>)
        return static_cast<T>(value);
    else if constexpr (std::same_as<T, std::string> && !std::same_as<V, std::string>)
        return std::string(std::string_view(value));
    else if constexpr (std::same_as<T, timestamp> && !std::same_as<V, timestamp>)
        return std::chrono::floor<std::chrono::microseconds>(value);
    else
        return value;
}

} // namespace detail

/// `column = $n` in UPDATE; made by `col<...> = value`.
template <auto Member>
struct set_value {
    static constexpr auto member = Member;
    using value_type = member_type<Member>;
    value_type value;

    static constexpr void render(sql_writer& out) { out.identifier(column_name<Member>).put(" = ").parameter(); }
};

/// `column = column + $n`; made by `col<...> += value` and `-=`, and safe against rivals: the server adds.
template <auto Member, char Operator>
struct add_value {
    static constexpr auto member = Member;
    using value_type = typename detail::not_null<member_type<Member>>::type;
    value_type value;

    static constexpr void render(sql_writer& out) {
        out.identifier(column_name<Member>).put(" = ").identifier(column_name<Member>);
        out.put(Operator == '+' ? " + " : " - ").parameter();
    }
};

template <class T>
inline constexpr bool is_assignment = false;
template <auto Member>
inline constexpr bool is_assignment<set_value<Member>> = true;
template <auto Member, char Operator>
inline constexpr bool is_assignment<add_value<Member, Operator>> = true;

/// What UPDATE sets.
template <class T>
concept assignment = is_assignment<T>;

template <auto Member>
struct column {
    static constexpr auto member = Member;
    using record_type = record_of<Member>;
    /// Type that the column is compared with: the field's, without std::optional.
    using value_type = typename detail::not_null<std::remove_cv_t<member_type<Member>>>::type;
    static constexpr bool nullable = detail::not_null<std::remove_cv_t<member_type<Member>>>::nullable;

    constexpr column() noexcept = default;
    column(const column&) = delete; // so that `col<a> = col<b>` is refused rather than copied

    /// Throws encode_error when an integer does not fit the column's type.
    template <class V>
    [[nodiscard]] set_value<Member> operator=(const V& value) const { // NOLINT(misc-unconventional-assign-operator)
        if constexpr (nullable && std::same_as<V, std::nullopt_t>)
            return {std::nullopt};
        else if constexpr (nullable && std::same_as<V, std::remove_cv_t<member_type<Member>>>)
            return {value};
        else {
            static_assert(detail::stands_for<value_type, V>,
                          "tenon: a value of this type cannot be assigned to this column");
            if constexpr (detail::stands_for<value_type, V>)
                return {detail::as_column_value<value_type>(value, column_name<Member>)};
        }
    }

    /// Throws encode_error when an integer does not fit the column's type.
    template <class V>
        requires detail::number<value_type>
    [[nodiscard]] add_value<Member, '+'> operator+=(const V& value) const {
        static_assert(detail::stands_for<value_type, V>, "tenon: a value of this type cannot be added to this column");
        return {detail::as_column_value<value_type>(value, column_name<Member>)};
    }
    template <class V>
        requires detail::number<value_type>
    [[nodiscard]] add_value<Member, '-'> operator-=(const V& value) const {
        static_assert(detail::stands_for<value_type, V>,
                      "tenon: a value of this type cannot be taken from this column");
        return {detail::as_column_value<value_type>(value, column_name<Member>)};
    }
};

/// The column that holds a field: `col<&User::email>`.
template <auto Member>
inline constexpr column<Member> col{};

} // namespace tenon
