#include "cores.hpp"

#include <sched.h>

#include <vector>

namespace bench {

namespace {

// The cores that were allowed before anything was pinned, and are no two threads of one core as far as numbers tell.
const std::vector<int>& allowed_cores() {
    static const std::vector<int> cores = [] {
        std::vector<int> found;
        cpu_set_t set;
        CPU_ZERO(&set);
        if (::sched_getaffinity(0, sizeof set, &set) == 0)
            for (int core = 0; core < CPU_SETSIZE; ++core)
                if (CPU_ISSET(static_cast<unsigned>(core), &set))
                    found.push_back(core);
        return found;
    }();
    return cores;
}

bool pin(int process, int core) noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(core), &set);
    return ::sched_setaffinity(process, sizeof set, &set) == 0;
}

} // namespace

bool place(placement wanted, std::span<const int> backends) noexcept {
    const std::vector<int>& cores = allowed_cores();
    if (cores.empty() || (wanted == placement::separate_cores && cores.size() < 2))
        return false;
    const int client = cores.back();
    const int server = wanted == placement::one_core ? client : cores.front();
    bool placed = pin(0, client);
    for (const int backend : backends)
        placed = pin(backend, server) && placed;
    return placed;
}

} // namespace bench
