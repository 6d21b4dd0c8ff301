#include <tenon/pg/detail/conninfo.hpp>

#include <arpa/inet.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

namespace tenon::detail {

namespace {

struct free_options {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};
using options_ptr = std::unique_ptr<PQconninfoOption, free_options>;

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

bool is_alphanumeric(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string_view text_of(const char* text) noexcept {
    return text != nullptr ? text : std::string_view();
}

std::vector<std::string_view> split(std::string_view text, std::string_view at) {
    std::vector<std::string_view> parts;
    for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(std::min(end + 1, text.size()))) {
        end = text.find_first_of(at);
        parts.push_back(text.substr(0, end));
    }
    return parts;
}

template <class Predicate>
bool all_parts(std::string_view list, Predicate fits) {
    return std::ranges::all_of(split(list, ","), fits);
}

// A name of 63 bytes at most, and of what names are made of: no part of an URL.
bool looks_like_database(std::string_view name) noexcept {
    return name.size() < 64 && std::ranges::all_of(
                                   name,
                                   [](char c) {
                                       return is_alphanumeric(c) || c == '_' || c == '-' || c == '.' || c == '$' ||
                                              static_cast<unsigned char>(c) >= 128;
                                   });
}

bool is_host(std::string_view host) noexcept {
    return host.find('@', 1) == std::string_view::npos; // in front it is an abstract socket
}

bool is_port(std::string_view port) noexcept {
    std::uint16_t number = 0;
    const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), number);
    return port.empty() || (failure == std::errc{} && end == port.data() + port.size());
}

bool is_url(std::string_view text) noexcept {
    return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

// An @ in an URL's database is the end of a password, unless it is percent-encoded there.
bool is_database(std::string_view name, std::string_view conninfo) noexcept {
    if (name.find("://") != std::string_view::npos)
        return false;
    if (name.find('@') == std::string_view::npos)
        return true;
    const auto path = conninfo.find_first_of("/?", conninfo.find("://") + 3);
    return is_url(conninfo) && path != std::string_view::npos && conninfo.find('@', path) == std::string_view::npos;
}

bool is_address(std::string_view text) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    const std::string terminated(text);
    return ::inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) noexcept {
    return std::ranges::find(list, word) != list.end();
}

// Words that libpq's options may have, or authentication methods: no passwords, and of use in a message.
bool is_libpqs_own(std::string_view word) noexcept {
    return is_one_of(word,
                     {"allow",      "any",     "direct",        "disable",        "gss",     "md5",    "none",
                      "password",   "prefer",  "postgres",      "prefer-standby", "primary", "random", "read-only",
                      "read-write", "require", "scram-sha-256", "sspi",           "standby", "system", "verify-ca",
                      "verify-full"});
}

// What of the options is kept out of messages, the longest first.
class hidden_values {
public:
    explicit hidden_values(const PQconninfoOption* options) {
        for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option)
            if (!text_of(option->val).empty() && text_of(option->val) != text_of(option->compiled))
                sort(option->keyword, option->val);
    }

    void remove_from(std::string& message) const {
        for (const std::string_view value : values_)
            if (!shown_.contains(value))
                remove(message, value);
    }

private:
    struct longest_first {
        bool operator()(std::string_view a, std::string_view b) const noexcept {
            return a.size() != b.size() ? a.size() > b.size() : a < b;
        }
    };
    std::set<std::string_view, longest_first> values_{};
    std::set<std::string_view> shown_{};

    void sort(std::string_view keyword, std::string_view value) {
        if (is_one_of(keyword, {"host", "port"}))
            show(value);
        else if (is_one_of(keyword, {"user", "dbname"})) // "app:hunter2", when all of it was percent-encoded
            show(value, value.find_first_of(":=") == std::string_view::npos);
        else if (keyword == "hostaddr")
            for (const std::string_view part : split(value, ","))
                show(part, is_address(part));
        else if (keyword == "options")
            sort_settings(value);
        else if (!is_told(keyword, value)) {
            hide(value);
            for (const std::string_view part : split(value, ",")) // require_auth
                hide(part);
        }
    }

    // -c name=value --name=value: names are told, values are not.
    void sort_settings(std::string_view options) {
        hide(options);
        for (const std::string_view setting : split(options, " \t\r\n\f\v\\'\"")) {
            const auto sign = setting.find('=');
            std::string_view name = setting.substr(0, sign);
            while (name.starts_with('-'))
                name.remove_prefix(1);
            if (sign == std::string_view::npos)
                hide(name);
            else
                for (const std::string_view part : split(setting.substr(sign + 1), "=,"))
                    hide(part);
        }
    }

    static bool is_told(std::string_view keyword, std::string_view value) noexcept {
        if (is_one_of(keyword, {"application_name", "fallback_application_name", "client_encoding"}))
            return true; // nobody quotes them
        if (is_one_of(keyword, {"passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir"}) &&
            value.starts_with('/'))
            return true;
        const bool times =
            keyword.starts_with("keepalives") || is_one_of(keyword, {"connect_timeout", "tcp_user_timeout"});
        return times && value.size() < 10 && std::ranges::all_of(value, is_digit);
    }

    void show(std::string_view value, bool harmless = true) {
        if (!harmless)
            return hide(value);
        shown_.insert(value);
        for (const std::string_view part : split(value, ","))
            shown_.insert(part);
    }
    void hide(std::string_view value) {
        if (value.size() > 1 && !is_libpqs_own(value))
            values_.insert(value);
    }

    // Whole words only.
    static void remove(std::string& message, std::string_view value) {
        constexpr std::string_view instead = "(not shown)";
        const auto is_word = [](char c) { return is_alphanumeric(c) || c == '_'; };
        for (std::size_t at = message.find(value); at != std::string::npos; at = message.find(value, at)) {
            const std::size_t end = at + value.size();
            const bool begins = at == 0 || !is_word(message[at - 1]) || !is_word(value.front());
            const bool ends = end == message.size() || !is_word(message[end]) || !is_word(value.back());
            if (begins && ends) {
                message.replace(at, value.size(), instead);
                at += instead.size();
            } else
                ++at;
        }
    }
};

} // namespace

bool is_connection_string(std::string_view text) noexcept {
    return is_url(text) || text.find('=') != std::string_view::npos;
}

bool is_readable_conninfo(const std::string& text) {
    if (text.find('\0') != std::string::npos)
        return false;
    if (!is_connection_string(text))
        return looks_like_database(text);
    const options_ptr options(PQconninfoParse(text.c_str(), nullptr)); // its message would quote the string
    if (!options)
        return false;
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        const std::string_view value = text_of(option->val);
        if ((is_one_of(keyword, {"host", "hostaddr"}) && !all_parts(value, is_host)) ||
            (keyword == "port" && !all_parts(value, is_port)) || (keyword == "dbname" && !is_database(value, text)))
            return false;
    }
    return true;
}

std::string without_option_values(std::string message, PGconn* connection) {
    const options_ptr options(PQconninfo(connection));
    if (!options)
        throw std::bad_alloc();
    const auto is_set = [](const PQconninfoOption& option) { return option.val != nullptr; };
    const PQconninfoOption* end = options.get();
    while (end->keyword != nullptr)
        ++end;
    // libpq stopped before it had its options: a service that is not there, which it quotes.
    if (std::none_of(static_cast<const PQconninfoOption*>(options.get()), end, is_set))
        return "libpq cannot use the connection string's settings, or those of its service file and the environment "
               "(they are not shown, as they may hold a password)";
    hidden_values(options.get()).remove_from(message);
    return message;
}

} // namespace tenon::detail
