#include "server_error.hpp"

#include <array>

#include <tenon/core/sqlstate.hpp>

#include "violation_detail.hpp"

namespace tenon::detail {

namespace {

std::string field_of(const PGresult* answer, int code) {
    const char* text = PQresultErrorField(answer, code);
    return text != nullptr ? text : "";
}

std::string_view remedy(std::string_view state) {
    struct advice {
        std::string_view state;
        std::string_view text;
    };
    static constexpr std::array list{
        advice{sqlstate::unique_violation, "a row with this key exists already: update it, or use upsert"},
        advice{sqlstate::foreign_key_violation,
               "the row it refers to is missing, or rows still refer to it: store or erase that one first"},
        advice{sqlstate::check_violation, "the row breaks a rule of the table: correct the value, or change the rule"},
        advice{sqlstate::not_null_violation,
               "the column takes no NULL: set the field, or declare it tenon::generated if the server fills it"},
        advice{sqlstate::undefined_table,
               "create it (migrations, or tenon::create_table), or correct its name or search_path"},
        advice{sqlstate::undefined_column, "add the column, or name the right one with tenon::named"},
        advice{sqlstate::datatype_mismatch, "change the field's or the column's type"},
        advice{sqlstate::insufficient_privilege, "grant the role what it needs"},
        advice{
            sqlstate::in_failed_transaction,
            "an earlier statement failed: roll back and start again, or put a tenon::savepoint around what may fail"},
        advice{sqlstate::read_only_transaction,
               "the transaction or the server is read-only: write through the primary"},
        advice{sqlstate::serialization_failure, "run the transaction again: tenon's transact does"},
        advice{sqlstate::fenced_out, "another leader's term has begun: stop, and campaign again"},
        advice{sqlstate::deadlock_detected, "run the transaction again: tenon's transact does"},
    };
    for (const auto& entry : list)
        if (entry.state == state)
            return entry.text;
    return {};
}

std::string_view field_for(const record_shape* record, std::string_view column) {
    if (record != nullptr)
        for (const auto& shape : record->columns)
            if (shape.column == column)
                return shape.field;
    return {};
}

} // namespace

std::string one_line(std::string_view text) {
    std::string line;
    for (const char c : text) {
        const char next = c == '\n' || c == '\t' ? ' ' : c;
        if (next != ' ' || (!line.empty() && line.back() != ' '))
            line += next;
    }
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    return line;
}

std::string describe(const statement_context& context) {
    std::string text;
    if (context.number != 0)
        text = "statement " + std::to_string(context.number) + " of the pipeline, ";
    text += context.operation;
    if (context.record != nullptr)
        text.append(" ").append(context.record->table).append(" (record ").append(context.record->record).append(")");
    return text;
}

connection_lost outcome_unknown(const connection_lost& lost, std::uint64_t transaction_id) {
    return connection_lost(std::string(lost.what()) + "; the server may or may not have committed" +
                               (transaction_id != 0
                                    ? ": ask commit_status for transaction " + std::to_string(transaction_id)
                                    : std::string()),
                           {.sqlstate = std::string(lost.sqlstate()),
                            .statement = "commit",
                            .outcome_unknown = true,
                            .transaction_id = transaction_id});
}

std::string sentence_of(const PGresult* answer) {
    const std::string state = field_of(answer, PG_DIAG_SQLSTATE);
    // Data exceptions (class 22) quote values, in quotes that differ between languages: their condition's name
    // says it without. The messages of other classes quote names, which help.
    if (!state.starts_with("22"))
        return one_line(field_of(answer, PG_DIAG_MESSAGE_PRIMARY));
    struct condition {
        std::string_view state;
        std::string_view text;
    };
    static constexpr std::array conditions{
        condition{"22001", "text too long for the column's type"},
        condition{"22003", "number out of range of the type"},
        condition{"22007", "invalid date or time"},
        condition{"22008", "date or time out of range"},
        condition{"22012", "division by zero"},
        condition{"22021", "text with an embedded NUL, or not valid in the database's encoding (UTF-8 is sent)"},
        condition{"22023", "invalid parameter value"},
        condition{"22P02", "invalid input syntax for the type"},
        condition{"22P03", "invalid binary form of the type"},
        condition{"22P05", "character that the type or encoding cannot hold"},
    };
    for (const auto& known : conditions)
        if (known.state == state)
            return std::string(known.text);
    return "data exception";
}

error_properties properties_of(const PGresult* answer, const statement_context& context) {
    error_properties properties{
        .sqlstate = field_of(answer, PG_DIAG_SQLSTATE),
        .statement = std::string(context.sql),
        .constraint = field_of(answer, PG_DIAG_CONSTRAINT_NAME),
        .table = field_of(answer, PG_DIAG_TABLE_NAME),
        .column = field_of(answer, PG_DIAG_COLUMN_NAME),
        .detail = field_of(answer, PG_DIAG_MESSAGE_DETAIL),
        .hint = field_of(answer, PG_DIAG_MESSAGE_HINT),
        .where = field_of(answer, PG_DIAG_CONTEXT),
        .server_message = field_of(answer, PG_DIAG_MESSAGE_PRIMARY),
    };
    if (properties.column.empty() &&
        (properties.sqlstate == sqlstate::unique_violation || properties.sqlstate == sqlstate::foreign_key_violation))
        properties.column = columns_in(properties.detail);
    return properties;
}

void throw_server_error(const PGresult* answer, const statement_context& context) {
    error_properties properties = properties_of(answer, context);
    std::string message = describe(context) + ": " + sentence_of(answer);
    if (!properties.column.empty()) {
        message += " [column " + properties.column;
        if (const auto field = field_for(context.record, properties.column); !field.empty())
            message.append(", field ").append(context.record->record).append("::").append(field);
        message += "]";
    }
    if (const auto advice = remedy(properties.sqlstate); !advice.empty())
        message.append("; ").append(advice);
    else if (!properties.hint.empty())
        message.append("; ").append(properties.hint);
    message += " (SQLSTATE " + properties.sqlstate + ")";

    const std::string state = properties.sqlstate;
    const auto raise = [&]<class Leaf>(Leaf*) { throw Leaf(message, std::move(properties)); };
    if (state == sqlstate::unique_violation)
        raise(static_cast<unique_violation*>(nullptr));
    if (state == sqlstate::foreign_key_violation)
        raise(static_cast<foreign_key_violation*>(nullptr));
    if (state == sqlstate::check_violation)
        raise(static_cast<check_violation*>(nullptr));
    if (state == sqlstate::not_null_violation)
        raise(static_cast<not_null_violation*>(nullptr));
    if (state.starts_with("23"))
        raise(static_cast<constraint_violation*>(nullptr));
    if (state == sqlstate::serialization_failure)
        raise(static_cast<serialization_failure*>(nullptr));
    if (state == sqlstate::deadlock_detected)
        raise(static_cast<deadlock_detected*>(nullptr));
    if (state == sqlstate::undefined_table || state == sqlstate::undefined_column ||
        state == sqlstate::datatype_mismatch)
        raise(static_cast<schema_mismatch*>(nullptr));
    if (state == sqlstate::fenced_out)
        raise(static_cast<fenced_out*>(nullptr));
    if (state == sqlstate::in_failed_transaction)
        raise(static_cast<failed_transaction*>(nullptr));
    throw error(message, std::move(properties));
}

} // namespace tenon::detail
