// Records that arrive one by one: `for (const User& user : users.where(...).stream())`.
//
// Constant memory, however many rows. While the stream lives, its transaction can do nothing else; leaving the loop
// early cancels the rest and leaves the transaction usable.
#pragma once

#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <tenon/core/error.hpp>
#include <tenon/pg/row.hpp>
#include <tenon/pg/row_source.hpp>
#include <tenon/sql/table.hpp>

namespace tenon {

/// A single pass over rows; movable. `string_view` fields are valid until the next row.
template <mapped_record R>
class stream {
public:
    explicit stream(std::unique_ptr<row_source> rows) noexcept : rows_(std::move(rows)) {}

    class iterator {
    public:
        using value_type = R;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        explicit iterator(stream& of) : of_(&of) { of_->read(); }
        [[nodiscard]] const R& operator*() const noexcept { return *of_->current_; }
        [[nodiscard]] const R* operator->() const noexcept { return &*of_->current_; }
        iterator& operator++() {
            of_->read();
            return *this;
        }
        void operator++(int) { of_->read(); }
        friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept { return at.at_end(); }

    private:
        [[nodiscard]] bool at_end() const noexcept { return !of_->current_.has_value(); }
        stream* of_;
    };

    /// Reads the first row. Throws what the statement throws; decode_error; usage_error the second time, and when it
    /// was moved from.
    [[nodiscard]] iterator begin() {
        if (!rows_ || begun_)
            throw usage_error("a stream is one pass over its rows: it was begun before, or moved from");
        begun_ = true;
        return iterator(*this);
    }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    void read() {
        detail::row_room<field_count<R>> room;
        current_.reset();
        if (rows_ && rows_->next(room.values)) {
            const auto make = [&] { return decode_values<R>(room.values.data(), shape_of_record<R>); };
            current_.emplace(detail::made_in_place{make});
        } else
            rows_.reset();
    }

    std::unique_ptr<row_source> rows_;
    std::optional<R> current_;
    bool begun_ = false;
};

} // namespace tenon
