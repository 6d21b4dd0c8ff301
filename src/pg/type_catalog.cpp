#include "type_catalog.hpp"

#include <cstdlib>

#include "session.hpp"

namespace tenon::detail {

namespace {

oid as_oid(const PGresult* rows, int row, int column) {
    return static_cast<oid>(std::strtoul(PQgetvalue(rows, row, column), nullptr, 10));
}

bool carries_own_oids(const value_shape& shape) noexcept {
    if (shape.element != nullptr)
        return has_own_oid(*shape.element);
    return !shape.fields.empty();
}

} // namespace

bool has_own_oid(const value_shape& shape) noexcept {
    return shape.text_form || shape.type.id == 0 || (shape.element != nullptr && has_own_oid(*shape.element));
}

const type_catalog::entry& type_catalog::find(session& on, oid id) {
    if (const auto known = known_.find(id); known != known_.end())
        return known->second;
    const auto rows = on.query_text("select pg_catalog.format_type(oid, null), typtype operator(pg_catalog.=) 'e' or "
                                    "typcategory operator(pg_catalog.=) 'S',"
                                    " case when typtype operator(pg_catalog.=) 'd' then typbasetype else 0 end,"
                                    " case when typcategory operator(pg_catalog.=) 'A' then typelem else 0 end,"
                                    " case when typtype operator(pg_catalog.=) 'c' then typrelid else 0 end"
                                    " from pg_catalog.pg_type where oid operator(pg_catalog.=) $1::pg_catalog.oid",
                                    std::to_string(id).c_str());
    entry found{.name = "type " + std::to_string(id)};
    if (PQntuples(rows.get()) == 1) {
        found = {.name = PQgetvalue(rows.get(), 0, 0),
                 .textual = *PQgetvalue(rows.get(), 0, 1) == 't',
                 .base = as_oid(rows.get(), 0, 2),
                 .element = as_oid(rows.get(), 0, 3)};
        if (as_oid(rows.get(), 0, 4) != 0) {
            const auto attributes = on.query_text(
                "select atttypid from pg_catalog.pg_attribute where attrelid operator(pg_catalog.=) $1::pg_catalog.oid"
                " and attnum operator(pg_catalog.>) 0 and not attisdropped order by attnum",
                PQgetvalue(rows.get(), 0, 4));
            for (int row = 0; row < PQntuples(attributes.get()); ++row)
                found.attributes.push_back(as_oid(attributes.get(), row, 0));
        }
    }
    return known_.emplace(id, std::move(found)).first->second;
}

std::string type_catalog::describe(session& on, oid id) {
    const entry& type = find(on, id);
    std::string text = type.name;
    for (std::size_t i = 0; i < type.attributes.size(); ++i)
        text.append(i == 0 ? " (" : ", ").append(find(on, type.attributes[i]).name);
    return text.append(type.attributes.empty() ? "" : ")");
}

// A name that leaves out its schema, or need not have given it, depends on the search path.
bool type_catalog::has_name(session& on, std::string_view name, oid id) {
    if (find(on, id).name == name)
        return true;
    const auto [known, is_new] = named_.try_emplace(std::string(name), 0);
    if (is_new)
        known->second = as_oid(
            on.query_text("select coalesce(pg_catalog.to_regtype($1)::pg_catalog.oid, 0)", known->first.c_str()).get(),
            0, 0);
    return known->second == id;
}

bool type_catalog::fits(session& on, const value_shape& shape, oid id) {
    while (id != 0) {
        if (shape.fits(id))
            return true;
        const entry& type = find(on, id);
        if (!shape.fields.empty()) {
            if (type.base == 0) {
                if (type.attributes.size() != shape.fields.size() || !has_name(on, shape.type.name, id))
                    return false;
                for (std::size_t i = 0; i < shape.fields.size(); ++i)
                    if (!fits(on, *shape.fields[i], type.attributes[i]))
                        return false;
                return true;
            }
        } else if (shape.element == nullptr && shape.type.id == 0 && has_name(on, shape.type.name, id))
            return true; // a type of an extension
        if (shape.text_form && type.textual && type.base == 0)
            return true;
        if (shape.element != nullptr && type.element != 0 && fits(on, *shape.element, type.element))
            return true;
        id = type.base;
    }
    return false;
}

bool type_catalog::same_form(session& on, const value_shape& shape, oid id) {
    for (; id != 0; id = find(on, id).base) {
        if (id == shape.type.id)
            return true;
        const entry& type = find(on, id);
        if (type.base != 0)
            continue; // a domain's values have the form of the type below it
        if (shape.element != nullptr)
            return same_form(on, *shape.element, type.element);
        if (shape.fields.empty())
            return !shape.text_format && (shape.text_form || shape.type.id == 0);
        if (shape.fields.size() != type.attributes.size())
            return false;
        for (std::size_t i = 0; i < shape.fields.size(); ++i)
            if (!same_form(on, *shape.fields[i], type.attributes[i]))
                return false;
        return true;
    }
    return false;
}

const server_type* type_catalog::own_oids(session& on, const value_shape& shape, oid id) {
    return carries_own_oids(shape) ? &tree(on, id) : nullptr;
}

const server_type& type_catalog::tree(session& on, oid id) {
    if (const auto known = trees_.find(id); known != trees_.end())
        return known->second;
    server_type made{.id = id};
    oid below = id;
    while (find(on, below).base != 0)
        below = find(on, below).base;
    const entry& type = find(on, below);
    if (type.element != 0)
        made.element = &tree(on, type.element);
    for (const oid attribute : type.attributes)
        made.fields.push_back(&tree(on, attribute));
    return trees_.emplace(id, std::move(made)).first->second;
}

} // namespace tenon::detail
