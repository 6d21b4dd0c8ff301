// Walks values that lie one behind the other with their lengths in front, as in arrays, composites and ranges.
#pragma once

#include <string_view>

#include <tenon/codec/wire.hpp>

namespace tenon::detail {

/// Never reads past the end of the value it was made from; throws decode_error that names `pg_type` instead.
class parts_reader {
public:
    /// `header`: bytes in front of the parts. NULL, and fewer bytes than that, throw decode_error.
    parts_reader(wire_value whole, int header, std::string_view pg_type);

    /// Bytes that are left.
    [[nodiscard]] int left() const noexcept { return static_cast<int>(end_ - at_); }

    /// The next integer.
    std::int32_t next_number();

    /// The next part: a length and as many bytes; NULL where the length is -1.
    wire_value next();

    /// Throws decode_error unless everything has been read.
    void finish() const;

private:
    [[noreturn]] void fail() const;

    const char* at_;
    const char* end_;
    std::string_view pg_type_;
};

} // namespace tenon::detail
