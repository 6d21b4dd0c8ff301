#include <tenon/repository/repository.hpp>

#include <string>

namespace tenon::detail {

void throw_not_one(const record_shape& record, std::size_t found) {
    const std::string table = std::string(record.table) + " (record " + std::string(record.record) + ")";
    if (found == 0)
        throw row_not_found("one: no row of " + table + " meets the condition", {.table = std::string(record.table)});
    throw too_many_rows("one: more than one row of " + table + " meets the condition; narrow it, or use first",
                        {.table = std::string(record.table)});
}

void throw_no_such_key(std::string_view operation, const record_shape& record) {
    if (operation.empty())
        throw error("the server stored no row in " + std::string(record.table) + " (record " +
                        std::string(record.record) + "): a trigger or rule suppressed it",
                    {.table = std::string(record.table)});
    throw row_not_found(std::string(operation) + ": no row of " + std::string(record.table) + " (record " +
                            std::string(record.record) + ") has this key",
                        {.table = std::string(record.table)});
}

void throw_stale(const record_shape& record) {
    throw stale_record("update: the row of " + std::string(record.table) + " (record " + std::string(record.record) +
                           ") was changed or erased since it was read: read it again and repeat the change",
                       {.table = std::string(record.table)});
}

} // namespace tenon::detail
