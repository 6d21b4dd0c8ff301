// ORDER BY: `asc(col<&User::name>)`, `desc(col<&User::created_at>)`; a bare column means ascending.
#pragma once

#include <string_view>

#include <tenon/sql/column.hpp>
#include <tenon/sql/writer.hpp>

namespace tenon {

template <auto Member, bool Descending>
struct ordering {
    using record_type = record_of<Member>;
    static constexpr void render(sql_writer& out) {
        out.identifier(column_name<Member>).put(Descending ? " desc" : "");
    }
};

/// Smallest first; NULL comes last, as in PostgreSQL.
template <auto M>
constexpr ordering<M, false> asc(const column<M>&) noexcept {
    return {};
}

/// Greatest first; NULL comes first, as in PostgreSQL.
template <auto M>
constexpr ordering<M, true> desc(const column<M>&) noexcept {
    return {};
}

} // namespace tenon
