#include "admin_session.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include <tenon/pg/detail/conninfo.hpp>
#include <tenon/testing/cluster.hpp>

namespace tenon::testing {
namespace {

std::string trimmed(const char* message) {
    std::string text = message == nullptr ? "out of memory" : message;
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

// Not by libpq's message: it quotes the string, which may hold a password.
void require_readable(const std::string& url, bool is_readable) {
    if (!is_readable || !detail::is_readable_conninfo(url))
        throw cluster_error{"test server: " + std::string{detail::unreadable_conninfo}};
}

// A keyword string from the options set in `url`, less those named in `left_out`.
std::string rebuild(const std::string& url, std::initializer_list<std::string_view> left_out, std::string result) {
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options{PQconninfoParse(url.c_str(), nullptr),
                                                                                 PQconninfoFree};
    require_readable(url, options != nullptr);
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        if (option->val == nullptr || std::ranges::find(left_out, option->keyword) != left_out.end())
            continue;
        if (!result.empty())
            result += ' ';
        result += std::string{option->keyword} + "='";
        for (const char* c = option->val; *c != '\0'; ++c) {
            if (*c == '\'' || *c == '\\')
                result += '\\';
            result += *c;
        }
        result += '\'';
    }
    return result;
}

} // namespace

std::string percent_encode(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (plain.find(c) != std::string_view::npos)
            result += c;
        else
            (result += '%') += {hex[byte / 16U], hex[byte % 16U]};
    }
    return result;
}

std::string with_database(const std::string& url, const std::string& database) {
    return rebuild(url, {"dbname"}, "dbname='" + database + "'");
}

std::string without_password(const std::string& url) {
    return rebuild(url, {"password", "sslpassword"}, "");
}

admin_session::admin_session(const std::string& url) {
    require_readable(url, true);
    // What the URL says about the timeout comes later and so wins.
    const std::array<const char*, 3> keywords{"connect_timeout", "dbname", nullptr};
    const std::array<const char*, 3> values{"30", url.c_str(), nullptr};
    connection_.reset(PQconnectdbParams(keywords.data(), values.data(), 1));
    if (PQstatus(connection_.get()) != CONNECTION_OK)
        throw cluster_error{
            "cannot connect to the test server: " +
            trimmed(detail::without_option_values(PQerrorMessage(connection_.get()), connection_.get()).c_str())};
    PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
}

std::string admin_session::query(const std::string& sql, const std::vector<std::string>& parameters) {
    std::vector<const char*> values;
    values.reserve(parameters.size());
    for (const std::string& parameter : parameters)
        values.push_back(parameter.c_str());
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result{PQexecParams(connection_.get(), sql.c_str(),
                                                                             static_cast<int>(values.size()), nullptr,
                                                                             values.data(), nullptr, nullptr, 0),
                                                                PQclear};
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        throw cluster_error{"the test server refused \"" + sql + "\": " + trimmed(PQerrorMessage(connection_.get()))};
    return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

std::string admin_session::quote(const std::string& identifier) const {
    const std::unique_ptr<char, void (*)(void*)> quoted{
        PQescapeIdentifier(connection_.get(), identifier.c_str(), identifier.size()), PQfreemem};
    return quoted ? quoted.get() : "";
}

} // namespace tenon::testing
