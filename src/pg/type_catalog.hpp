// What a session knows of the server's types beyond the built-in ones: enum types, domains, extensions.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include <tenon/codec/codec.hpp>

namespace tenon::detail {

class session;

/// Asks the catalog about a type once and remembers the answer.
class type_catalog {
public:
    struct entry {
        std::string name;     ///< as SQL spells it
        bool textual = false; ///< its binary form is its text: enum types, citext, varchar
        oid base = 0;         ///< of a domain: the type below it
        oid element = 0;      ///< of an array: its elements
    };

    /// Throws what a failing query throws.
    const entry& find(session& on, oid id);

    /// True when values of `shape` can be sent to and read from the type `id`.
    [[nodiscard]] bool fits(session& on, const value_shape& shape, oid id);

private:
    std::unordered_map<oid, entry> known_;
};

} // namespace tenon::detail
