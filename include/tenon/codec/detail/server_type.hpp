// The server's OIDs inside encoded values.
//
// Arrays and composite types carry the OIDs of their elements and attributes, and the server refuses others than
// its own. A codec knows those of built-in types; the others (enum types, domains, extensions, varchar
// where the C++ type is text) differ between databases, so the session puts them in before it sends the value.
#pragma once

#include <cstddef>
#include <vector>

#include <tenon/codec/buffer.hpp>
#include <tenon/codec/oid.hpp>

namespace tenon::detail {

/// A type as one database has it: the target of `put_oids`. Domains are looked through.
struct server_type {
    oid id = 0;
    const server_type* element = nullptr;     ///< of an array
    std::vector<const server_type*> fields{}; ///< of a composite type, without dropped attributes

    /// False where no value of the type holds an OID.
    [[nodiscard]] bool holds_oids() const noexcept { return element != nullptr || !fields.empty(); }
};

/// Puts the OIDs of `type` into the value of `size` bytes at `at` in `out`, at every depth. Throws encode_error when
/// the value is no such array or composite.
void put_oids(buffer& out, std::size_t at, std::size_t size, const server_type& type);

} // namespace tenon::detail
