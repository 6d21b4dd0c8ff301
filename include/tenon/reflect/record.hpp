// Which structs can be records: those whose fields can be listed at compile time.
//
// A record is an aggregate with 1 to 200 fields and without bases, C arrays, bit-fields or references. The
// concept finds bases and constructors before Boost.PFR sees the type, because PFR's own errors run over 30
// lines; C arrays (use std::array or std::vector), bit-fields and references are left for PFR to refuse.
#pragma once

#include <type_traits>

#include <tenon/reflect/type_name.hpp>

namespace tenon {

namespace detail {

// Converts to a base of T only, so T{any_base_of<T>{}} compiles exactly when T's first element is a base.
template <class T>
struct any_base_of {
    template <class Base>
        requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
    operator Base() const noexcept; // NOLINT(google-explicit-constructor): only used in unevaluated code
};

template <class T>
concept has_base = requires { T{any_base_of<T>{}}; };

} // namespace detail

/// A struct that tenon can map: see the paragraph above.
template <class T>
concept record = std::is_class_v<T> && std::is_aggregate_v<T> && !std::is_empty_v<T> && !detail::has_base<T>;

} // namespace tenon
