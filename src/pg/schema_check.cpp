#include "schema_check.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>

#include "session.hpp"

namespace tenon::detail {

namespace {

std::string quoted_for_regclass(std::string_view table) {
    std::string text;
    const auto quote = [&text](std::string_view name) {
        text += '"';
        for (const char c : name)
            text.append(c == '"' ? 2 : 1, c);
        text += '"';
    };
    if (const auto dot = table.find('.'); dot != std::string_view::npos) {
        quote(table.substr(0, dot));
        text += '.';
        table.remove_prefix(dot + 1);
    }
    quote(table);
    return text;
}

std::string mismatch(const record_shape& record, const column_shape& column, std::string_view found) {
    return "\n  " + std::string(record.record) + "::" + std::string(column.field) + " (" +
           std::string(column.value->cpp_type) + ", wants " + std::string(column.value->type.name) + "): column " +
           std::string(column.column) + " " + std::string(found);
}

} // namespace

const std::vector<oid>& schema_check::record(session& on, const record_shape& record) {
    if (const auto known = records_.find(&record); known != records_.end())
        return known->second;
    const auto rows =
        on.query_text("select a.attname, a.atttypid from pg_catalog.pg_attribute a"
                      " where a.attrelid operator(pg_catalog.=) pg_catalog.to_regclass($1::pg_catalog.text)"
                      " and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped",
                      quoted_for_regclass(record.table).c_str());
    const int found = PQntuples(rows.get());
    if (found == 0)
        throw schema_mismatch(
            "no table " + std::string(record.table) + " in database " + on.database() + " for record " +
                std::string(record.record) +
                ": create it (migrations, or tenon::create_table), or correct its name or search_path",
            {.sqlstate = std::string(sqlstate::undefined_table), .table = std::string(record.table)});
    std::vector<oid> types;
    std::string report;
    std::string first_column;
    std::string_view state;
    for (const column_shape& column : record.columns) {
        int row = 0;
        while (row < found && column.column != PQgetvalue(rows.get(), row, 0))
            ++row;
        std::string_view problem_state;
        if (row == found) {
            report += mismatch(record, column, "does not exist; add it, or name the right one with tenon::named");
            problem_state = sqlstate::undefined_column;
        } else {
            const auto type = static_cast<oid>(std::strtoul(PQgetvalue(rows.get(), row, 1), nullptr, 10));
            types.push_back(type);
            if (!types_.fits(on, *column.value, type)) {
                report += mismatch(record, column,
                                   "is " + types_.describe(on, type) + "; change the field's or the column's type");
                problem_state = sqlstate::datatype_mismatch;
            }
        }
        if (!problem_state.empty() && first_column.empty()) {
            first_column = column.column;
            state = problem_state;
        }
    }
    if (!report.empty())
        throw schema_mismatch(
            "record " + std::string(record.record) + " does not fit table " + std::string(record.table) + ":" + report,
            {.sqlstate = std::string(state), .table = std::string(record.table), .column = first_column});
    return records_.emplace(&record, std::move(types)).first->second;
}

void schema_check::description(session& on, const statement& what, const PGresult* found) {
    std::string report;
    const auto parameters = static_cast<std::size_t>(PQnparams(found));
    if (parameters != what.parameters.size())
        report += "\n  it has " + std::to_string(parameters) + " parameters, and " +
                  std::to_string(what.parameters.size()) + " values were given";
    for (std::size_t i = 0; i < std::min(parameters, what.parameters.size()); ++i) {
        const oid type = PQparamtype(found, static_cast<int>(i));
        const value_shape& shape = *what.parameters[i];
        if (!types_.fits(on, shape, type) ||
            (types_.own_oids(on, shape, type) != nullptr && !types_.same_form(on, shape, type)))
            report += "\n  $" + std::to_string(i + 1) + " is " + types_.describe(on, type) + ", the value is " +
                      std::string(what.parameters[i]->cpp_type) + " (" + std::string(what.parameters[i]->type.name) +
                      ")";
    }
    const auto columns = static_cast<std::size_t>(PQnfields(found));
    const std::size_t expected = what.returns_record ? what.record->columns.size() : what.results.size();
    if (expected != 0 && columns != expected)
        report += "\n  it returns " + std::to_string(columns) + " columns, expected are " + std::to_string(expected);
    for (std::size_t i = 0; i < std::min(columns, expected); ++i) {
        const value_shape& shape = what.returns_record ? *what.record->columns[i].value : *what.results[i];
        if (const std::string_view name = PQfname(found, static_cast<int>(i));
            i < what.result_names.size() && what.result_names[i] != name)
            report += "\n  column " + std::to_string(i + 1) + " is named " + std::string(name) + ", expected is " +
                      std::string(what.result_names[i]) + ": name it with AS, in the order of the fields";
        const oid type = PQftype(found, static_cast<int>(i));
        if (shape.text_format ? type != oids::text : !types_.fits(on, shape, type)) {
            const std::string problem = "is " + types_.describe(on, type) +
                                        (shape.text_format ? ", and is read as text: write column::text" : "");
            report += what.returns_record ? mismatch(*what.record, what.record->columns[i], problem)
                                          : "\n  column " + std::to_string(i + 1) + " " + problem + ", expected is " +
                                                std::string(shape.cpp_type);
        }
    }
    if (!report.empty())
        throw schema_mismatch(
            describe(session::context_of(what)) + ": the statement does not fit its C++ types:" + report,
            {.sqlstate = std::string(sqlstate::datatype_mismatch), .statement = std::string(what.sql)});
}

std::vector<std::pair<std::size_t, const server_type*>> schema_check::own_oids(session& on, const statement& what,
                                                                               const PGresult* found) {
    std::vector<std::pair<std::size_t, const server_type*>> own;
    for (std::size_t i = 0; i < what.parameters.size(); ++i)
        if (const server_type* const tree =
                types_.own_oids(on, *what.parameters[i], PQparamtype(found, static_cast<int>(i))))
            own.emplace_back(i, tree);
    return own;
}

std::vector<const server_type*> schema_check::same_types(session& on, const statement& what,
                                                         std::span<const std::size_t> fields) {
    const std::vector<oid>& types = record(on, *what.record);
    std::vector<const server_type*> trees;
    std::string report;
    for (const std::size_t field : fields) {
        const column_shape& column = what.record->columns[field];
        const oid type = types[field];
        if (!types_.same_form(on, *column.value, type))
            report += "\n  " + std::string(what.record->record) + "::" + std::string(column.field) + " (" +
                      std::string(column.value->type.name) + "): column " + std::string(column.column) + " is " +
                      types_.describe(on, type);
        trees.push_back(types_.own_oids(on, *column.value, type));
    }
    if (!report.empty())
        throw schema_mismatch(
            describe(session::context_of(what)) +
                ": COPY converts nothing, so these fields need exactly their column's type; change them "
                "or use insert_many:" +
                report,
            {.sqlstate = "42804", .statement = std::string(what.sql)});
    return trees;
}

} // namespace tenon::detail
