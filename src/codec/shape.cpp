#include <tenon/codec/shape.hpp>

#include <string>

namespace tenon::detail {

void rethrow_with_field(const decode_error& cause, const record_shape& record, std::size_t field, bool null) {
    const column_shape& column = record.columns[field];
    const std::string name = std::string(record.record) + "::" + std::string(column.field);
    const std::string where = "column " + std::string(column.column) + " of " + std::string(record.table);
    error_properties properties{.table = std::string(record.table), .column = std::string(column.column)};
    if (null)
        throw decode_error(where + " is NULL, and field " + name + " is " + std::string(column.value->cpp_type) +
                               ": make it a std::optional, or the column NOT NULL",
                           std::move(properties));
    throw decode_error(where + " does not fit field " + name + " (" + std::string(column.value->cpp_type) +
                           "): " + cause.what(),
                       std::move(properties));
}

void rethrow_with_field(const encode_error& cause, const record_shape& record, std::size_t field) {
    const column_shape& column = record.columns[field];
    throw encode_error("field " + std::string(record.record) + "::" + std::string(column.field) +
                           " does not fit column " + std::string(column.column) + " of " + std::string(record.table) +
                           ": " + cause.what(),
                       {.table = std::string(record.table), .column = std::string(column.column)});
}

} // namespace tenon::detail
