// Fields of a record by number and by member pointer, at compile time and without macros.
//
// The only place that names Boost.PFR. A member pointer becomes a field number by comparing addresses
// inside an object that is never defined (see detail/phantom.hpp); nothing of it reaches the object file.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/pfr/core.hpp>
#include <boost/pfr/core_name.hpp>

#include <tenon/reflect/detail/phantom.hpp>
#include <tenon/reflect/record.hpp>

namespace tenon {

namespace detail {

template <class Pointer>
struct member_of;

template <class Class, class Member>
struct member_of<Member Class::*> {
    using record_type = Class;
    using value_type = Member;
};

} // namespace detail

/// Record that a member pointer points into.
template <auto Member>
using record_of = typename detail::member_of<decltype(Member)>::record_type;

/// Type of the field that a member pointer points to.
template <auto Member>
using member_type = typename detail::member_of<decltype(Member)>::value_type;

/// Number of fields of a record.
template <record R>
inline constexpr std::size_t field_count = boost::pfr::tuple_size_v<R>;

/// Type of field number `I`.
template <record R, std::size_t I>
using field_type = boost::pfr::tuple_element_t<I, R>;

/// Name of field number `I`.
template <record R, std::size_t I>
inline constexpr std::string_view field_name = boost::pfr::get_name<I, R>();

/// Field number `I` of `value`, by reference.
template <std::size_t I, record R>
constexpr decltype(auto) field(const R& value) noexcept {
    return boost::pfr::get<I>(value);
}

/// Field number of a member pointer: `field_index<&User::email>`.
template <auto Member>
inline constexpr std::size_t field_index = [] {
    using R = record_of<Member>;
    return []<std::size_t... I>(std::index_sequence<I...>) {
        std::size_t found = sizeof...(I);
        const auto compare = [&]<std::size_t N>(std::integral_constant<std::size_t, N>) {
            const auto& candidate = boost::pfr::get<N>(detail::phantom_of<R>());
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(candidate)>,
                                         std::remove_cv_t<member_type<Member>>>)
                if (std::addressof(candidate) == std::addressof(detail::phantom_of<R>().*Member))
                    found = N;
        };
        (compare(std::integral_constant<std::size_t, I>{}), ...);
        return found;
    }(std::make_index_sequence<field_count<R>>{});
}();

} // namespace tenon
