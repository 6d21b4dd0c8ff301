// What a pool says when a wait for a connection ends in vain.
#pragma once

#include <string>
#include <string_view>

#include <tenon/pg/pool.hpp>

#include "support/eventually.hpp"

namespace tenon::tests {

/// Waits in vain, by `wait`, until the pool says `text`: a wait that ends before the first dial has failed cannot tell
/// the cause. What it said last, if it never did.
inline std::string in_vain(std::string_view text, const std::function<void()>& wait) {
    std::string said = "nothing";
    (void)eventually([&] {
        try {
            wait();
        } catch (const pool_timeout& late) {
            said = late.what();
        }
        return said.find(text) != std::string::npos;
    });
    return said;
}

inline std::string in_vain(pool& db, std::string_view text) {
    return in_vain(text, [&db] { (void)db.acquire(); });
}

} // namespace tenon::tests
