// COPY ... FROM STDIN (FORMAT BINARY): the quickest way in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <tenon/codec/array.hpp>
#include <tenon/codec/buffer.hpp>
#include <tenon/pg/statement.hpp>

namespace tenon {

class transaction;

namespace detail {
class session;
}

/// Rows on their way into one table. While it lives, its session can do nothing else; left without `finish`, the
/// COPY is broken off and the transaction has failed.
class copy_in {
public:
    /// `what` is the COPY statement and names the record; `fields` are those that are sent, in the order of its
    /// columns. Every column's type has to be the field's own, as nothing is converted: throws schema_mismatch.
    copy_in(transaction& tx, const statement& what, std::span<const std::size_t> fields);
    copy_in(const copy_in&) = delete;
    copy_in& operator=(const copy_in&) = delete;
    ~copy_in();

    /// Begins a row; its fields follow by `add`, in order.
    void begin_row() {
        if (rows_.size() >= flush_at)
            flush();
        rows_.put(static_cast<std::int16_t>(elements_.size()));
        field_ = 0;
    }

    /// Throws encode_error.
    template <column_value T>
    void add(const T& value) {
        const std::size_t at = rows_.size();
        detail::put_element<T>(rows_, value);
        if (const oid element = elements_[field_++]; element != 0 && rows_.size() >= at + 16)
            rows_.patch(at + 12, static_cast<std::int32_t>(element)); // see parameters::set_element_oid
    }

    /// Ends the COPY; returns the number of rows stored. Throws unique_violation and its kin: nothing is stored then.
    std::uint64_t finish();

private:
    static constexpr std::size_t flush_at = 1 << 16;

    void flush();

    detail::session* session_;
    statement what_;
    buffer rows_;
    std::vector<oid> elements_; // per field: the OID that elements of an array have in this database, or 0
    std::size_t field_ = 0;
};

} // namespace tenon
