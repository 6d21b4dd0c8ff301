// Who has a pool's connections, since when and from where. Guarded by the pool's mutex.
//
// Each lent session knows its place in the list, so that it leaves without a search.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tenon/core/observer.hpp>
#include <tenon/pg/caller.hpp>

#include "waiting.hpp"

namespace tenon::detail {

class session;

class pool_leases {
public:
    using clock = waiter::clock;

    /// So many are lent without an allocation.
    void reserve(std::size_t most) { lent_.reserve(most); }
    [[nodiscard]] std::size_t size() const noexcept { return lent_.size(); }
    [[nodiscard]] bool empty() const noexcept { return lent_.empty(); }

    void begin(session* lent, caller where, clock::time_point now);
    void end(const session* returned) noexcept;

    /// "the oldest was lent 1.5 s ago at main.cpp:12"; empty when none is lent.
    [[nodiscard]] std::string oldest() const;
    /// Those that have lasted for longer and were not told of before.
    [[nodiscard]] std::vector<leak_event> late(clock::duration longest, std::string_view pool);

private:
    std::vector<session*> lent_{};
};

} // namespace tenon::detail
