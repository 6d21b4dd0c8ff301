// A key that knows whose key it is.
//
// `id<User>` and `id<Role>` are both a bigint on the wire and do not mix in C++. The value is public:
// an id is a value, not a secret.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view> // std::hash, at a tenth of <functional>'s compile time

namespace tenon {

/// Strong id of `Record`'s rows. `Value` is the key's own type: `std::int64_t` (bigint), or `tenon::uuid`.
template <class Record, class Value = std::int64_t>
struct id {
    using value_type = Value;

    Value value{};

    friend auto operator<=>(const id&, const id&) = default;
};

} // namespace tenon

template <class Record, class Value>
struct std::hash<tenon::id<Record, Value>> {
    std::size_t operator()(const tenon::id<Record, Value>& id) const noexcept { return std::hash<Value>{}(id.value); }
};
