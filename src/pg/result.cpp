#include <tenon/pg/result.hpp>

#include <libpq-fe.h>

#include <cstdlib>

namespace tenon {

void result::clear::operator()(pg_result* rows) const noexcept {
    PQclear(rows);
}

std::size_t result::size() const noexcept {
    return static_cast<std::size_t>(PQntuples(rows_.get()));
}

std::uint64_t result::affected() const noexcept {
    return std::strtoull(PQcmdTuples(rows_.get()), nullptr, 10);
}

std::string_view result::command() const noexcept {
    return rows_ ? PQcmdStatus(rows_.get()) : "";
}

void result::row(std::size_t row, std::span<wire_value> out) const noexcept {
    const int at = static_cast<int>(row);
    int column = 0;
    for (wire_value& value : out) {
        value.size = PQgetlength(rows_.get(), at, column);
        value.data = PQgetvalue(rows_.get(), at, column);
        if (value.size == 0 && PQgetisnull(rows_.get(), at, column) == 1)
            value = {};
        ++column;
    }
}

} // namespace tenon
