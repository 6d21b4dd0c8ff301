// What a pool keeps with a session.
#pragma once

#include <chrono>
#include <cstddef>

#include <tenon/pg/caller.hpp>

namespace tenon::detail {

struct lease_record {
    std::chrono::steady_clock::time_point lent_at{};
    std::chrono::steady_clock::time_point returned_at{};
    std::chrono::nanoseconds wait{}; ///< of the borrower
    caller where{};
    std::size_t place = 0; ///< in the list of lent sessions
    bool reported = false; ///< as lent for too long
    bool unwanted = false; ///< its server is not what the pool is for any more
    std::chrono::steady_clock::time_point lag_known_at{};
    std::chrono::milliseconds lag{};
};

} // namespace tenon::detail
