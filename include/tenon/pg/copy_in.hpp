// COPY ... FROM STDIN (FORMAT BINARY): the quickest way in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <tenon/codec/buffer.hpp>
#include <tenon/codec/codec.hpp>
#include <tenon/codec/detail/server_type.hpp>
#include <tenon/codec/shape.hpp>
#include <tenon/core/error.hpp>
#include <tenon/pg/statement.hpp>

namespace tenon {

class transaction;

namespace detail {
class copy_in_guest;
struct copy_in_leave {
    void operator()(copy_in_guest* of) const noexcept;
};
} // namespace detail

/// Rows on their way into one table. While it lives, its session can do nothing else; left without `finish`, the
/// COPY is broken off and the transaction has failed. It can do nothing once its transaction has ended.
class copy_in {
public:
    /// `what` is the COPY statement and names the record; `fields` are those that are sent, in the order of its
    /// columns. Every column's type has to be the field's own, as nothing is converted: throws schema_mismatch.
    copy_in(transaction& tx, const statement& what, std::span<const std::size_t> fields);
    copy_in(const copy_in&) = delete;
    copy_in& operator=(const copy_in&) = delete;
    ~copy_in();

    /// Appends a row of all fields, in order. Throws encode_error, and the row is left out.
    template <column_value... T>
    void add_row(const T&... values) {
        if (rows_.size() >= flush_at)
            flush();
        const std::size_t start = rows_.size();
        std::size_t at = 0; // the field that is being written
        try {
            if constexpr ((detail::sized_value<T> && ...)) { // one look at the room, no buffer in between
                const std::size_t size = sizeof(std::int16_t) + (detail::part_size(values) + ...);
                require_row_size(size);
                char* to = detail::store(rows_.extend(size), static_cast<std::int16_t>(sizeof...(T)));
                ((to = detail::write_part(to, values), ++at), ...);
            } else {
                rows_.put(static_cast<std::int16_t>(sizeof...(T)));
                ((add(at, values), ++at), ...);
                require_row_size(rows_.size() - start);
            }
        } catch (const encode_error& cause) {
            rows_.shrink(start);
            detail::rethrow_with_field(cause, *what_.record, fields_[at]);
        }
    }

    /// Ends the COPY; returns the number of rows stored. Throws unique_violation and its kin: nothing is stored then.
    std::uint64_t finish();

private:
    static constexpr std::size_t flush_at = 1 << 16;

    template <class T>
    void add(std::size_t field, const T& value) {
        const std::size_t at = rows_.size() + sizeof(std::int32_t);
        detail::put_part(rows_, value);
        if constexpr (
            requires { typename codec<typename detail::not_null<T>::type>::element_type; } ||
            requires { codec<typename detail::not_null<T>::type>::fields; })
            if (types_[field] != nullptr && rows_.size() > at)
                detail::put_oids(rows_, at, rows_.size() - at, *types_[field]);
    }
    static void require_row_size(std::size_t size) {
        if (size > 0x3FFFFFFF)
            detail::throw_encode_error("a row of more than 1 GiB cannot be sent to PostgreSQL");
    }
    void flush();

    std::unique_ptr<detail::copy_in_guest, detail::copy_in_leave> guest_{};
    statement what_;
    buffer rows_;
    std::vector<std::size_t> fields_;
    std::vector<const detail::server_type*> types_; // per field: where its OIDs are this database's own
};

} // namespace tenon
