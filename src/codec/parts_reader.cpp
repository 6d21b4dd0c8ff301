#include <tenon/codec/detail/parts_reader.hpp>

#include <string>

#include <tenon/core/error.hpp>

namespace tenon::detail {

parts_reader::parts_reader(wire_value whole, int header, std::string_view pg_type) : pg_type_(pg_type) {
    if (whole.is_null() || whole.size < header)
        throw_bad_value(whole, pg_type);
    at_ = whole.data + header;
    end_ = whole.data + whole.size;
}

std::int32_t parts_reader::next_number() {
    if (left() < 4)
        fail();
    const auto number = load<std::int32_t>(at_);
    at_ += 4;
    return number;
}

wire_value parts_reader::next() {
    const std::int32_t size = next_number();
    if (size == -1)
        return {};
    if (size < 0 || size > left())
        fail();
    const wire_value part{at_, size};
    at_ += size;
    return part;
}

void parts_reader::finish() const {
    if (at_ != end_)
        fail();
}

void parts_reader::fail() const {
    throw decode_error("the bytes end inside or go on behind a value of type " + std::string(pg_type_));
}

} // namespace tenon::detail
