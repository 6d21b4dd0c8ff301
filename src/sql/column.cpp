#include <tenon/sql/column.hpp>

namespace tenon::detail {

void throw_number_out_of_range(std::string_view column) {
    throw_encode_error("the number does not fit the type of column " + std::string(column));
}

} // namespace tenon::detail
