#include "violation_detail.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace tenon::detail {

namespace {

constexpr std::string_view between_columns = ", ";
constexpr std::string_view before_values = ")=(";

// The end of what is quoted and begins at `at`; a doubled quote stands for one. npos when it does not end.
std::size_t end_of_quoted(std::string_view text, std::size_t at) {
    const char quote = text[at];
    for (++at; at < text.size(); ++at)
        if (text[at] == quote) {
            if (!text.substr(at + 1).starts_with(quote))
                return at + 1;
            ++at;
        }
    return std::string_view::npos;
}

// The end of a column's name, or of an expression with parentheses and literals of its own.
std::size_t end_of_column(std::string_view text, std::size_t at) {
    for (std::size_t depth = 0; at < text.size();) {
        const std::string_view rest = text.substr(at);
        if (depth == 0 && (rest.starts_with(between_columns) || rest.starts_with(before_values)))
            return at;
        if (text[at] == '"' || text[at] == '\'') {
            at = end_of_quoted(text, at);
            continue;
        }
        if (text[at] == '(')
            ++depth;
        else if (text[at] == ')' && depth-- == 0)
            return std::string_view::npos;
        ++at;
    }
    return std::string_view::npos;
}

std::string unquoted(std::string_view column) {
    if (!column.starts_with('"') || end_of_quoted(column, 0) != column.size())
        return std::string(column);
    std::string name;
    for (std::size_t at = 1; at + 1 < column.size(); ++at) {
        name += column[at];
        at += column[at] == '"' ? 1U : 0U;
    }
    return name;
}

std::optional<std::string> columns_at(std::string_view text, std::size_t at) {
    std::string columns;
    for (;;) {
        const std::size_t end = end_of_column(text, at);
        if (end == std::string_view::npos)
            return std::nullopt;
        columns += unquoted(text.substr(at, end - at));
        if (text.substr(end).starts_with(before_values))
            return columns;
        columns += between_columns;
        at = end + between_columns.size();
    }
}

} // namespace

// It begins "Key (a, b)=(1, 2)" in every language. Unique keys are written as SQL (pg_get_indexdef), with quotes where
// a name needs them; those of foreign keys are bare, so what looks like a quote there may be a part of the name.
std::string columns_in(std::string_view detail) {
    const auto open = detail.find('(');
    const auto close = detail.find(before_values);
    if (open == std::string_view::npos || close == std::string_view::npos || close < open)
        return {};
    return columns_at(detail, open + 1).value_or(std::string(detail.substr(open + 1, close - open - 1)));
}

} // namespace tenon::detail
