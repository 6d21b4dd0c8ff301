// The name of a type as its author wrote it, for messages.
#pragma once

#include <cstddef>
#include <string_view>

namespace tenon {

namespace detail {

template <class T>
constexpr std::string_view pretty_type() noexcept {
    return __PRETTY_FUNCTION__;
}

// What stands around the name differs between compilers, so it is measured on a type whose name is known.
inline constexpr std::size_t type_prefix = pretty_type<double>().find("double");
inline constexpr std::size_t type_suffix = pretty_type<double>().size() - type_prefix - 6;

constexpr std::string_view after_last_scope(std::string_view name) noexcept {
    std::size_t depth = 0;
    for (std::size_t i = name.size(); i-- > 0;) {
        if (name[i] == '>' || name[i] == ')')
            ++depth;
        else if (name[i] == '<' || name[i] == '(')
            --depth;
        else if (depth == 0 && name[i] == ':')
            return name.substr(i + 1);
    }
    return name;
}

} // namespace detail

/// Full name, as the compiler spells it: "app::User".
template <class T>
inline constexpr std::string_view qualified_type_name = [] {
    constexpr std::string_view pretty = detail::pretty_type<T>();
    return pretty.substr(detail::type_prefix, pretty.size() - detail::type_prefix - detail::type_suffix);
}();

/// Name without its namespaces: "User".
template <class T>
inline constexpr std::string_view type_name = detail::after_last_scope(qualified_type_name<T>);

} // namespace tenon
