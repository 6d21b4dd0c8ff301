#include <tenon/pg/row_source.hpp>

#include <cstring>
#include <utility>

#include <tenon/pg/transaction.hpp>

#include "copy_out_guest.hpp"
#include "cursor.hpp"
#include "session_access.hpp"

namespace tenon {

namespace {

// A cursor's blocks, one behind the other.
class fetched_rows final : public row_source {
public:
    fetched_rows(detail::session& on, const statement& what, parameters& values)
        : cursor_(new detail::cursor(on, what, values)) {}

    bool next(std::span<wire_value> values) override {
        if (row_ == block_.size() && !fetch())
            return false;
        block_.row(row_++, values);
        return true;
    }

private:
    bool fetch() {
        if (!cursor_)
            return false;
        row_ = 0;
        block_ = {};
        more_ = more_ && cursor_->next_block(block_);
        if (block_.empty()) {
            cursor_->end();
            cursor_.reset();
        }
        return !block_.empty();
    }

    detail::seated<detail::cursor> cursor_;
    result block_;
    std::size_t row_ = 0;
    bool more_ = true;
};

class copied_rows final : public row_source {
public:
    copied_rows(detail::session& on, const statement& what) : copy_(new detail::copy_out_guest(on, what)) {}

    bool next(std::span<wire_value> values) override {
        if (!copy_)
            return false;
        message_ = copy_->next_message();
        const char* at = message_.bytes.get();
        const char* const end = at + message_.size;
        if (first_ && at != nullptr) {
            if (end - at < 19 || std::memcmp(at, detail::copy_header.data(), 11) != 0)
                detail::throw_decode_error("the server's COPY does not begin with the binary signature");
            const auto extension = detail::load<std::int32_t>(at + 15);
            if (extension < 0 || extension > end - at - 19)
                detail::throw_decode_error("the header of the server's COPY is malformed");
            at += 19 + extension;
            first_ = false;
            if (at == end)
                return next(values);
        }
        if (at == nullptr) { // the end of the COPY, behind its trailer
            copy_.reset();
            return false;
        }
        if (end - at < 2)
            detail::throw_decode_error("a row of the server's COPY ends early");
        const auto fields = detail::load<std::int16_t>(at);
        at += 2;
        if (fields == -1) // trailer
            return next(values);
        if (static_cast<std::size_t>(fields) != values.size())
            detail::throw_decode_error("a row of the server's COPY has another number of fields");
        for (wire_value& value : values) {
            if (end - at < 4)
                detail::throw_decode_error("a row of the server's COPY ends early");
            const auto size = detail::load<std::int32_t>(at);
            at += 4;
            if (size < -1 || size > end - at)
                detail::throw_decode_error("a row of the server's COPY ends early");
            value = size < 0 ? wire_value{} : wire_value{at, size};
            at += size < 0 ? 0 : size;
        }
        return true;
    }

private:
    detail::seated<detail::copy_out_guest> copy_;
    detail::copy_message message_;
    bool first_ = true;
};

} // namespace

std::unique_ptr<row_source> open_rows(transaction& tx, const statement& what, parameters& values) {
    return std::make_unique<fetched_rows>(session_access::of(tx), what, values);
}

std::unique_ptr<row_source> open_copy_out(transaction& tx, const statement& what) {
    return std::make_unique<copied_rows>(session_access::of(tx), what);
}

} // namespace tenon
