// What a session knows of the server's types beyond the built-in ones: enum types, domains, composites, extensions.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tenon/codec/codec.hpp>
#include <tenon/codec/detail/server_type.hpp>

namespace tenon::detail {

class session;

/// True for a type that is left to the server to infer: text may also be an enum, a varchar or a domain; others have
/// no OID that is the same in every database.
[[nodiscard]] bool has_own_oid(const value_shape& shape) noexcept;

/// Asks the catalog about a type once and remembers the answer. Members throw what a failing query throws.
class type_catalog {
public:
    struct entry {
        std::string name;              ///< as SQL spells it
        bool textual = false;          ///< its binary form is its text: enum types, citext, varchar
        oid base = 0;                  ///< of a domain: the type below it
        oid element = 0;               ///< of an array: its elements
        std::vector<oid> attributes{}; ///< of a composite type: the types of its attributes
    };

    const entry& find(session& on, oid id);

    /// The type as a message shows it: its name, behind that of a composite type the attributes' types.
    [[nodiscard]] std::string describe(session& on, oid id);

    /// True when values of `shape` can be sent to and read from the type `id`.
    [[nodiscard]] bool fits(session& on, const value_shape& shape, oid id);

    /// True when the type `id`, which `shape` fits, has the binary form that `shape` is sent in: COPY converts nothing,
    /// nor does the server inside of arrays and composites.
    [[nodiscard]] bool same_form(session& on, const value_shape& shape, oid id);

    /// The OIDs that values of `shape` have to carry for the type `id`; nullptr when those of the codec are right.
    [[nodiscard]] const server_type* own_oids(session& on, const value_shape& shape, oid id);

private:
    [[nodiscard]] bool has_name(session& on, std::string_view name, oid id);
    const server_type& tree(session& on, oid id);

    // Both give stable references.
    std::unordered_map<oid, entry> known_;
    std::unordered_map<oid, server_type> trees_;
    std::unordered_map<std::string, oid> named_;
};

} // namespace tenon::detail
