// SQL as a compile-time constant.
//
// A node is a type with `static constexpr void render(sql_writer&)`. It is rendered twice by the compiler:
// once to learn the length, once to fill an array that lies in the program's constants.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace tenon {

/// Where nodes write themselves. Counts only, until it is given room.
class sql_writer {
public:
    constexpr explicit sql_writer(char* out = nullptr) noexcept : out_(out) {}

    constexpr sql_writer& put(std::string_view text) noexcept {
        for (const char c : text)
            put(c);
        return *this;
    }

    /// A name, quoted so that any character and any keyword may stand in it.
    constexpr sql_writer& identifier(std::string_view name) noexcept {
        put('"');
        for (const char c : name) {
            if (c == '"')
                put('"');
            put(c);
        }
        put('"');
        return *this;
    }

    /// A table, with its schema in front where one is given: app.users.
    constexpr sql_writer& table(std::string_view name) noexcept {
        if (const std::size_t dot = name.find('.'); dot != std::string_view::npos) {
            identifier(name.substr(0, dot)).put(".");
            name.remove_prefix(dot + 1);
        }
        return identifier(name);
    }

    /// The next placeholder: $1, then $2, ...
    constexpr sql_writer& parameter() noexcept {
        put('$');
        number(++parameters_);
        return *this;
    }

    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }

private:
    constexpr void put(char c) noexcept {
        if (out_ != nullptr)
            out_[size_] = c;
        ++size_;
    }
    constexpr void number(std::size_t n) noexcept {
        if (n >= 10)
            number(n / 10);
        put(static_cast<char>('0' + n % 10));
    }

    char* out_;
    std::size_t size_ = 0;
    std::size_t parameters_ = 0;
};

namespace detail {

template <class Node>
inline constexpr auto sql_storage = [] {
    constexpr std::size_t size = [] {
        sql_writer count;
        Node::render(count);
        return count.size();
    }();
    std::array<char, size> text{};
    sql_writer fill(text.data());
    Node::render(fill);
    return text;
}();

} // namespace detail

/// The SQL text of a node.
template <class Node>
inline constexpr std::string_view sql_text{detail::sql_storage<Node>.data(), detail::sql_storage<Node>.size()};

} // namespace tenon
