// SQL of the statements that go through a staging table: rows arrive by COPY in a temporary table with the columns of
// the record's, and one statement takes them over.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <tenon/repository/write_sql.hpp>

namespace tenon::detail {

inline constexpr std::string_view staging_table = "pg_temp.tenon_staging";
inline constexpr std::string_view drop_staging_table = "drop table pg_temp.tenon_staging";

constexpr void put_same_key(sql_writer& out, const record_shape& record, std::span<const std::size_t> key) {
    std::string_view between = " on ";
    for (const std::size_t field : key) {
        const std::string_view name = record.columns[field].column;
        out.put(between).put("target.").identifier(name).put(" = source.").identifier(name);
        between = " and ";
    }
}

/// The columns that a matched row takes over.
constexpr bool is_merged(const column_shape& column) noexcept {
    return !column.generated && !column.key && !column.version;
}

constexpr void put_merged(sql_writer& out, const record_shape& record, std::string_view of) {
    std::string_view between = "(";
    for (const column_shape& column : record.columns)
        if (is_merged(column)) {
            out.put(between).put(of).identifier(column.column);
            between = ", ";
        }
    out.put(")");
}

constexpr void put_merge(sql_writer& out, const record_shape& record, std::span<const std::size_t> key) {
    out.put("merge into ").table(record.table).put(" as target using ").put(staging_table).put(" as source");
    put_same_key(out, record, key);
    bool any = false;
    for (const column_shape& column : record.columns)
        any = any || is_merged(column);
    if (any) {
        out.put(" when matched and ");
        put_merged(out, record, "target.");
        out.put(" is distinct from ");
        put_merged(out, record, "source.");
        std::string_view between = " then update set ";
        for (const column_shape& column : record.columns)
            if (is_merged(column)) {
                out.put(between).identifier(column.column).put(" = source.").identifier(column.column);
                between = ", ";
            } else if (column.version) {
                out.put(between).identifier(column.column).put(" = target.").identifier(column.column).put(" + 1");
                between = ", ";
            }
    }
    out.put(" when not matched then insert (");
    put_inserted(out, record);
    std::string_view between = ") values (source.";
    for (const column_shape& column : record.columns)
        if (!column.generated) {
            out.put(between).identifier(column.column);
            between = ", source.";
        }
    out.put(")");
}

template <mapped_record R>
struct create_staging_sql {
    static constexpr void render(sql_writer& out) {
        out.put("create temporary table tenon_staging on commit drop as select ");
        put_inserted(out, shape_of_record<R>);
        out.put(" from ").table(shape_of_record<R>.table).put(" with no data");
    }
};

template <mapped_record R>
struct copy_to_staging_sql {
    static constexpr void render(sql_writer& out) {
        out.put("copy ").put(staging_table).put(" (");
        put_inserted(out, shape_of_record<R>);
        out.put(") from stdin (format binary)");
    }
};

/// In the order of the target, so that two of them that run at once do not lock each other out.
template <mapped_record R, auto... Target>
struct upsert_staged_sql {
    static constexpr void render(sql_writer& out) {
        out.put("insert into ").table(shape_of_record<R>.table).put(" (");
        put_inserted(out, shape_of_record<R>);
        out.put(") select ");
        put_inserted(out, shape_of_record<R>);
        out.put(" from ").put(staging_table);
        std::string_view between = " order by ";
        for (const std::size_t field : upsert_target<R, Target...>) {
            out.put(between).identifier(shape_of_record<R>.columns[field].column);
            between = ", ";
        }
        put_on_conflict(out, shape_of_record<R>, upsert_target<R, Target...>);
    }
};

template <mapped_record R>
struct merge_staged_sql {
    static constexpr void render(sql_writer& out) { put_merge(out, shape_of_record<R>, key_of<R>()); }
};

} // namespace tenon::detail
