// Five ways in which a cancel request of a session's own once ended what it was not meant for, each tried many times.
#pragma once

#include <string>
#include <vector>

#include "session_tally.hpp"

namespace torture {

struct case_result {
    std::string name; ///< with what was broken
    std::string unit; ///< what is counted
    int broken = 0;   ///< of `tries`
    int tries = 0;
    std::string example{}; ///< of what was broken; empty when nothing was
};

/// On servers of its own.
[[nodiscard]] std::vector<case_result> play_cases(int tries, heartbeat& pulse);

} // namespace torture
