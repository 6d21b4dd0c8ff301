// The session's prepared statements: prepared once, checked once, run often.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include <tenon/codec/text.hpp>
#include <tenon/core/sqlstate.hpp>

#include "session.hpp"

namespace tenon::detail {

namespace {

constexpr std::size_t most_parameters = 65'535; // the protocol counts them in 16 bits

// Formats where they are the same for every parameter: binary.
const int* binary_formats(std::size_t count) {
    static constexpr auto few = [] {
        std::array<int, 64> list{};
        list.fill(1);
        return list;
    }();
    if (count <= few.size())
        return few.data();
    static const std::vector<int> many(most_parameters, 1);
    return many.data();
}

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

const std::vector<oid>& session::check_record(const record_shape& record) {
    if (const auto known = checked_records_.find(&record); known != checked_records_.end())
        return known->second;
    const auto rows = query_text("select a.attname, a.atttypid from pg_catalog.pg_attribute a"
                                 " where a.attrelid operator(pg_catalog.=) pg_catalog.to_regclass($1::pg_catalog.text)"
                                 " and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped",
                                 quoted_for_regclass(record.table).c_str());
    const int found = PQntuples(rows.get());
    if (found == 0)
        throw schema_mismatch(
            "no table " + std::string(record.table) + " in database " + PQdb(connection_) + " for record " +
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
            if (!types_.fits(*this, *column.value, type)) {
                report += mismatch(record, column,
                                   "is " + types_.describe(*this, type) + "; change the field's or the column's type");
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
    return checked_records_.emplace(&record, std::move(types)).first->second;
}

void session::check_description(const statement& what, const PGresult* description) {
    std::string report;
    const auto parameters = static_cast<std::size_t>(PQnparams(description));
    if (parameters != what.parameters.size())
        report += "\n  it has " + std::to_string(parameters) + " parameters, and " +
                  std::to_string(what.parameters.size()) + " values were given";
    for (std::size_t i = 0; i < std::min(parameters, what.parameters.size()); ++i) {
        const oid type = PQparamtype(description, static_cast<int>(i));
        const value_shape& shape = *what.parameters[i];
        if (!types_.fits(*this, shape, type) ||
            (types_.own_oids(*this, shape, type) != nullptr && !types_.same_form(*this, shape, type)))
            report += "\n  $" + std::to_string(i + 1) + " is " + types_.describe(*this, type) + ", the value is " +
                      std::string(what.parameters[i]->cpp_type) + " (" + std::string(what.parameters[i]->type.name) +
                      ")";
    }
    const auto columns = static_cast<std::size_t>(PQnfields(description));
    const std::size_t expected = what.returns_record ? what.record->columns.size() : what.results.size();
    if (expected != 0 && columns != expected)
        report += "\n  it returns " + std::to_string(columns) + " columns, expected are " + std::to_string(expected);
    for (std::size_t i = 0; i < std::min(columns, expected); ++i) {
        const value_shape& shape = what.returns_record ? *what.record->columns[i].value : *what.results[i];
        if (const std::string_view name = PQfname(description, static_cast<int>(i));
            i < what.result_names.size() && what.result_names[i] != name)
            report += "\n  column " + std::to_string(i + 1) + " is named " + std::string(name) + ", expected is " +
                      std::string(what.result_names[i]) + ": name it with AS, in the order of the fields";
        const oid type = PQftype(description, static_cast<int>(i));
        if (shape.text_format ? type != oids::text : !types_.fits(*this, shape, type)) {
            const std::string found = "is " + types_.describe(*this, type) +
                                      (shape.text_format ? ", and is read as text: write column::text" : "");
            report += what.returns_record ? mismatch(*what.record, what.record->columns[i], found)
                                          : "\n  column " + std::to_string(i + 1) + " " + found + ", expected is " +
                                                std::string(shape.cpp_type);
        }
    }
    if (!report.empty())
        throw schema_mismatch(
            describe(context_of(what)) + ": the statement does not fit its C++ types:" + report,
            {.sqlstate = std::string(sqlstate::datatype_mismatch), .statement = std::string(what.sql)});
}

void session::make_room() {
    constexpr std::size_t remembered_checks = 256; // where nothing is prepared on the server
    const bool prepares = options_.statement_cache != 0;
    if (statements_.size() < (prepares ? options_.statement_cache : remembered_checks))
        return;
    const auto oldest =
        std::ranges::min_element(statements_, {}, [](const auto& entry) { return entry.second.last_used; });
    const std::string drop = "deallocate " + oldest->second.name;
    statements_.erase(oldest);
    if (prepares)
        (void)run_script(drop);
}

namespace {

// Whose result the statement's is: two records may be mapped to one table.
const void* answer_of(const statement& what) noexcept {
    return what.record != nullptr ? static_cast<const void*>(what.record) : what.results.data();
}

} // namespace

session::prepared* session::find_prepared(const statement& what) noexcept {
    const auto known = statements_.find(cache_key<std::string_view>{
        what.sql, what.parameters.data(), answer_of(what), what.hash, what.constant ? what.sql.data() : nullptr});
    return known != statements_.end() ? &known->second : nullptr;
}

session::prepared& session::prepare(const statement& what) {
    const statement_context context = context_of(what);
    if (what.parameters.size() > most_parameters)
        throw usage_error(describe(context) + ": a statement can have at most 65,535 parameters");
    if (what.record != nullptr)
        (void)check_record(*what.record);
    make_room();

    prepared entry{.name = options_.statement_cache != 0 ? "tenon_" + std::to_string(++names_) : ""};
    cache_key<std::string> key{std::string(what.sql), what.parameters.data(), answer_of(what), what.hash,
                               what.constant ? what.sql.data() : nullptr};
    refuse_nul(key.sql);
    for (const value_shape* shape : what.parameters)
        entry.types.push_back(has_own_oid(*shape) ? 0 : shape->type.id);
    if (std::ranges::any_of(what.parameters, &value_shape::text_format))
        for (const value_shape* shape : what.parameters)
            entry.formats.push_back(shape->text_format ? 0 : 1);

    const pg_result_ptr description = in_pipeline(context, [&] {
        const bool begun = send_begin();
        if (PQsendPrepare(connection_, entry.name.c_str(), key.sql.c_str(), static_cast<int>(entry.types.size()),
                          entry.types.data()) != 1 ||
            PQsendDescribePrepared(connection_, entry.name.c_str()) != 1 || PQpipelineSync(connection_) != 1)
            fail_lost(context);
        if (begun)
            take_begin();
        (void)take_answer(context);
        return take_answer(context);
    });
    try {
        check_description(what, description.get());
    } catch (const schema_mismatch&) {
        if (!entry.name.empty())
            (void)run_script("deallocate " + entry.name);
        throw;
    }
    for (std::size_t i = 0; i < what.parameters.size(); ++i)
        if (const server_type* const tree =
                types_.own_oids(*this, *what.parameters[i], PQparamtype(description.get(), static_cast<int>(i))))
            entry.own_oids.emplace_back(i, tree);
    return statements_.emplace(std::move(key), std::move(entry)).first->second;
}

bool session::forget(std::string_view sql, const record_shape* record, std::string_view state) {
    if (state == "26000") { // invalid_sql_statement_name: DEALLOCATE ALL or DISCARD ALL took them all
        statements_.clear();
        prelude_prepared_ = false;
        return true;
    }
    if (state == "0A000") { // feature_not_supported: "cached plan must not change result type"
        checked_records_.erase(record);
        return std::erase_if(statements_, [&](const auto& entry) { return entry.first.sql == sql; }) > 0;
    }
    return false;
}

const int* session::formats_of(const prepared& ready) {
    return ready.formats.empty() ? binary_formats(ready.types.size()) : ready.formats.data();
}

bool session::send_with(const std::string& sql, const prepared& ready, parameters& values) {
    for (const auto& [index, tree] : ready.own_oids)
        values.set_oids(index, *tree);
    return PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(values.size()), ready.types.data(),
                             values.values(), values.lengths(), formats_of(ready), 1) == 1;
}

bool session::send_prepared(const statement& what, prepared& ready, parameters& values) {
    ready.last_used = ++uses_;
    if (options_.statement_cache == 0)
        return send_with(std::string(what.sql), ready, values);
    for (const auto& [index, tree] : ready.own_oids)
        values.set_oids(index, *tree);
    return PQsendQueryPrepared(connection_, ready.name.c_str(), static_cast<int>(values.size()), values.values(),
                               values.lengths(), formats_of(ready), 1) == 1;
}

void session::check(const statement& what) {
    take_over();
    if (find_prepared(what) == nullptr)
        (void)prepare(what);
}

result session::execute(const statement& what, parameters& values) {
    if (what.record == nullptr || !what.constant)
        note_raw_use();
    return observed(context_of(what), [&] {
        return what.record != nullptr ? execute_once(what, values)
                                      : refusing_control([&] { return execute_once(what, values); });
    });
}

result session::execute_once(const statement& what, parameters& values) {
    take_over();
    const std::string_view begin = pending_begin_;
    const prelude* const first = prelude_;
    for (bool again = false;; again = true) {
        prepared* ready = find_prepared(what);
        if (ready == nullptr)
            ready = &prepare(what);
        try {
            return result(exchange(context_of(what), [&] { return send_prepared(what, *ready, values); }).release());
        } catch (const error& failure) {
            // The server dropped the statement or may not use it any more. The next use prepares anew, and this one
            // does where the transaction had only just begun, so that nothing is run twice.
            if (!forget(what.sql, what.record, failure.sqlstate()) || again || begin.empty())
                throw;
            (void)run_script("rollback");
            first_failure_.clear();
            pending_begin_ = begin;
            prelude_ = first;
        }
    }
}

} // namespace tenon::detail
