#include "allocations.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::uint64_t> count{0};

} // namespace

std::uint64_t bench::allocations() noexcept {
    return count.load(std::memory_order_relaxed);
}

// The array and nothrow forms of the standard library call these.
void* operator new(std::size_t size) {
    // One thread measures at a time: a plain addition, so that counting costs nothing that could be seen.
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (void* const made = std::malloc(size == 0 ? 1 : size))
        return made;
    throw std::bad_alloc();
}

void operator delete(void* made) noexcept {
    std::free(made);
}
void operator delete(void* made, std::size_t) noexcept {
    std::free(made);
}
