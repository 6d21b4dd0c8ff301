#include "type_catalog.hpp"

#include <cstdlib>

#include "session.hpp"

namespace tenon::detail {

const type_catalog::entry& type_catalog::find(session& on, oid id) {
    if (const auto known = known_.find(id); known != known_.end())
        return known->second;
    const auto rows = on.query_text(
        "select pg_catalog.format_type(oid, null), typtype = 'e' or typcategory = 'S',"
        " case when typtype = 'd' then typbasetype else 0 end, case when typcategory = 'A' then typelem else 0 end"
        " from pg_catalog.pg_type where oid = $1::oid",
        std::to_string(id).c_str());
    entry found{.name = "type " + std::to_string(id)};
    if (PQntuples(rows.get()) == 1)
        found = {.name = PQgetvalue(rows.get(), 0, 0),
                 .textual = *PQgetvalue(rows.get(), 0, 1) == 't',
                 .base = static_cast<oid>(std::strtoul(PQgetvalue(rows.get(), 0, 2), nullptr, 10)),
                 .element = static_cast<oid>(std::strtoul(PQgetvalue(rows.get(), 0, 3), nullptr, 10))};
    return known_.emplace(id, std::move(found)).first->second;
}

bool type_catalog::fits(session& on, const value_shape& shape, oid id) {
    while (id != 0) {
        if (shape.fits(id))
            return true;
        const entry& type = find(on, id);
        if (shape.type.id == 0 && type.name == shape.type.name) // a type of an extension, known by name
            return true;
        if (shape.text_form && type.textual && type.base == 0)
            return true;
        if (shape.element != nullptr && type.element != 0 && fits(on, *shape.element, type.element))
            return true;
        id = type.base;
    }
    return false;
}

} // namespace tenon::detail
