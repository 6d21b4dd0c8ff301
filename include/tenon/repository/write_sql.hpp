// SQL of the statements that a repository offers, as nodes to be rendered at compile time.
//
// Functions and built-in types are qualified, so that no schema of the search_path puts others in front. Operators on
// columns are not, as tables are not: a column's type may come from an extension (citext, ltree) whose operators live
// where the application's search_path says.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include <tenon/codec/array.hpp>
#include <tenon/pg/statement.hpp>
#include <tenon/sql/column.hpp>
#include <tenon/sql/table.hpp>
#include <tenon/sql/writer.hpp>

namespace tenon::detail {

/// A type as a codec names it. Names of one word are looked up in the search_path, unless they are keywords of SQL.
constexpr void put_type(sql_writer& out, const pg_type& type) {
    constexpr std::array<std::string_view, 17> keywords{
        "bigint",  "bit",      "boolean", "char", "character", "dec",  "decimal",   "float",  "int",
        "integer", "interval", "numeric", "real", "smallint",  "time", "timestamp", "varchar"};
    constexpr oid first_of_users = 16384;
    std::size_t length = 0; // of an array's element's; not by find: g++ 12 refuses that here under -fsanitize=undefined
    while (length < type.name.size() && type.name[length] != '[')
        ++length;
    const std::string_view word = type.name.substr(0, length);
    bool looked_up = type.id != 0 && type.id < first_of_users;
    for (const char c : word)
        looked_up = looked_up && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
    for (const std::string_view keyword : keywords)
        looked_up = looked_up && word != keyword;
    out.put(looked_up ? "pg_catalog." : "").put(type.name);
}

// Plain constexpr functions over the record's shape: cheaper to compile than a template for each field.

constexpr void put_columns(sql_writer& out, const record_shape& record) {
    std::string_view between;
    for (const column_shape& column : record.columns) {
        out.put(between).identifier(column.column).put(column.value->text_format ? "::pg_catalog.text" : "");
        between = ", ";
    }
}

constexpr void put_returning(sql_writer& out, const record_shape& record) {
    out.put(" returning ");
    put_columns(out, record);
}

/// The columns that INSERT fills.
constexpr void put_inserted(sql_writer& out, const record_shape& record) {
    std::string_view between;
    for (const column_shape& column : record.columns)
        if (!column.generated) {
            out.put(between).identifier(column.column);
            between = ", ";
        }
}

constexpr void put_insert(sql_writer& out, const record_shape& record) {
    out.put("insert into ").table(record.table);
    std::string_view between = " (";
    std::string_view close = " default values";
    for (const column_shape& column : record.columns)
        if (!column.generated) {
            out.put(between).identifier(column.column);
            between = ", ";
            close = ")";
        }
    out.put(close);
    between = " values (";
    for (const column_shape& column : record.columns)
        if (!column.generated) {
            out.put(between).parameter();
            between = ", ";
        }
    if (between == ", ")
        out.put(")");
}

/// One array per column, so that any number of rows is the same statement.
constexpr void put_insert_many(sql_writer& out, const record_shape& record, std::span<const std::size_t> key) {
    out.put("insert into ").table(record.table).put(" (");
    put_inserted(out, record);
    // In the select list, where the server hands the elements on row by row: FROM would store them all first.
    out.put(") select ");
    std::string_view between;
    for (const column_shape& column : record.columns)
        if (!column.generated) {
            out.put(between).put("pg_catalog.unnest(");
            // Text may go into a column of an enum type, a domain or json: the column itself tells which, by
            // standing beside the parameter in a query that is never run.
            if (column.value->text_form) {
                out.put("coalesce(").parameter().put(", (select pg_catalog.array_agg(").identifier(column.column);
                out.put(") from ").table(record.table).put(" where false))");
            } else {
                out.parameter().put("::");
                put_type(out, column.value->type);
                out.put("[]");
            }
            out.put(")");
            between = ", ";
        }
    out.put(" returning ");
    between = "";
    for (const std::size_t field : key) {
        out.put(between).identifier(record.columns[field].column);
        between = ", ";
    }
}

constexpr void put_key_condition(sql_writer& out, const record_shape& record, std::span<const std::size_t> key) {
    std::string_view between = " where ";
    for (const std::size_t field : key) {
        out.put(between).identifier(record.columns[field].column).put(" = ").parameter();
        between = " and ";
    }
}

/// The version column of a row that is changed.
constexpr void put_next_version(sql_writer& out, const record_shape& record, std::string_view between) {
    for (const column_shape& column : record.columns)
        if (column.version)
            out.put(between).identifier(column.column).put(" = ").identifier(column.column).put(" + 1");
}

constexpr void put_update(sql_writer& out, const record_shape& record, std::span<const std::size_t> key) {
    out.put("update ").table(record.table);
    std::string_view between = " set ";
    for (const column_shape& column : record.columns)
        if (!column.generated && !column.key && !column.version) {
            out.put(between).identifier(column.column).put(" = ").parameter();
            between = ", ";
        }
    put_next_version(out, record, between);
    put_key_condition(out, record, key);
    for (const column_shape& column : record.columns)
        if (column.version)
            out.put(" and ").identifier(column.column).put(" = ").parameter();
    put_returning(out, record);
}

/// ON CONFLICT on the columns `target`: every other written column takes the new row's value.
constexpr void put_on_conflict(sql_writer& out, const record_shape& record, std::span<const std::size_t> target) {
    std::string_view between = " on conflict (";
    for (const std::size_t field : target) {
        out.put(between).identifier(record.columns[field].column);
        between = ", ";
    }
    between = ") do update set ";
    for (std::size_t field = 0; field < record.columns.size(); ++field) {
        bool targeted = false;
        for (const std::size_t other : target)
            targeted = targeted || other == field;
        const column_shape& column = record.columns[field];
        if (!targeted && column.version) {
            out.put(between)
                .identifier(column.column)
                .put(" = ")
                .table(record.table)
                .put(".")
                .identifier(column.column);
            out.put(" + 1");
            between = ", ";
        } else if (!targeted && !column.generated && !column.key) {
            out.put(between).identifier(column.column).put(" = excluded.").identifier(column.column);
            between = ", ";
        }
    }
    if (between != ", ") { // nothing to change, and DO NOTHING would return no row
        const std::string_view same = record.columns[target.front()].column;
        out.put(between).identifier(same).put(" = excluded.").identifier(same);
    }
}

template <mapped_record R>
constexpr std::span<const std::size_t> key_of() noexcept {
    return {columns_of<R>.key.data(), columns_of<R>.key_size};
}

template <mapped_record R>
struct insert_sql {
    static constexpr void render(sql_writer& out) {
        put_insert(out, shape_of_record<R>);
        put_returning(out, shape_of_record<R>);
    }
};

template <mapped_record R>
struct insert_many_sql {
    static constexpr void render(sql_writer& out) { put_insert_many(out, shape_of_record<R>, key_of<R>()); }
};

template <mapped_record R>
struct copy_in_sql {
    static constexpr void render(sql_writer& out) {
        out.put("copy ").table(shape_of_record<R>.table).put(" (");
        put_inserted(out, shape_of_record<R>);
        out.put(") from stdin (format binary)");
    }
};

template <mapped_record R>
struct copy_out_sql {
    static constexpr void render(sql_writer& out) {
        out.put("copy (select ");
        put_columns(out, shape_of_record<R>);
        out.put(" from ").table(shape_of_record<R>.table).put(") to stdout (format binary)");
    }
};

template <mapped_record R>
struct find_sql {
    static constexpr void render(sql_writer& out) {
        out.put("select ");
        put_columns(out, shape_of_record<R>);
        out.put(" from ").table(shape_of_record<R>.table);
        put_key_condition(out, shape_of_record<R>, key_of<R>());
    }
};

template <mapped_record R>
struct update_sql {
    static constexpr void render(sql_writer& out) { put_update(out, shape_of_record<R>, key_of<R>()); }
};

template <mapped_record R>
struct find_many_sql {
    static constexpr void render(sql_writer& out) {
        out.put("select ");
        put_columns(out, shape_of_record<R>);
        out.put(" from ").table(shape_of_record<R>.table).put(" where ");
        out.identifier(shape_of_record<R>.columns[key_of<R>()[0]].column).put(" = any(").parameter().put(")");
    }
};

template <mapped_record R, class... Assignments>
struct assign_sql {
    static constexpr void render(sql_writer& out) {
        out.put("update ").table(shape_of_record<R>.table).put(" set ");
        std::string_view between;
        ((out.put(between), Assignments::render(out), between = ", "), ...);
        put_next_version(out, shape_of_record<R>, between);
        put_key_condition(out, shape_of_record<R>, key_of<R>());
        put_returning(out, shape_of_record<R>);
    }
};

/// The fields that tell whether a row is there already: those that are named, else the key.
template <mapped_record R, auto... Target>
inline constexpr auto upsert_target = [] {
    if constexpr (sizeof...(Target) > 0)
        return std::array<std::size_t, sizeof...(Target)>{field_index<Target>...};
    else {
        std::array<std::size_t, key_size<R>> fields{};
        for (std::size_t i = 0; i < key_size<R>; ++i)
            fields[i] = key_of<R>()[i];
        return fields;
    }
}();

template <mapped_record R, auto... Target>
struct upsert_sql {
    static constexpr void render(sql_writer& out) {
        put_insert(out, shape_of_record<R>);
        put_on_conflict(out, shape_of_record<R>, upsert_target<R, Target...>);
        put_returning(out, shape_of_record<R>);
    }
};

template <mapped_record R>
struct erase_sql {
    static constexpr void render(sql_writer& out) {
        out.put("delete from ").table(shape_of_record<R>.table);
        put_key_condition(out, shape_of_record<R>, key_of<R>());
    }
};

/// CREATE TABLE IF NOT EXISTS for a record: see `create_table`.
template <mapped_record R>
struct create_table_sql {
    static constexpr void render(sql_writer& out) {
        const record_shape& record = shape_of_record<R>;
        out.put("create table if not exists ").table(record.table);
        std::string_view between = " (";
        for (const column_shape& column : record.columns) {
            out.put(between).identifier(column.column).put(" ");
            put_type(out, column.value->type);
            if (!column.value->nullable)
                out.put(" not null");
            if (column.generated)
                out.put(default_for(column.value->type.id));
            between = ", ";
        }
        between = ", primary key (";
        for (const std::size_t field : key_of<R>()) {
            out.put(between).identifier(record.columns[field].column);
            between = ", ";
        }
        out.put(key_size<R> > 0 ? "))" : ")");
    }

    static constexpr std::string_view default_for(oid type) {
        if (type == oids::int2 || type == oids::int4 || type == oids::int8)
            return " generated always as identity";
        if (type == oids::timestamptz || type == oids::date)
            return " default pg_catalog.now()";
        if (type == oids::uuid)
            return " default pg_catalog.gen_random_uuid()";
        return {}; // see `has_defaults`
    }

    static constexpr bool has_defaults = [] {
        for (const column_shape& column : shape_of_record<R>.columns)
            if (column.generated && !column.value->nullable && default_for(column.value->type.id).empty())
                return false;
        return true;
    }();
};

} // namespace tenon::detail
