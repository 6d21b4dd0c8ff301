#include "process.hpp"

#include <pthread.h>

namespace tenon::detail {

constinit std::atomic<unsigned> generation_of_process{0};

namespace {

// Out of memory at the program's start is the only way to fail: then a child is not told from its parent.
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, [] { ++generation_of_process; });

} // namespace
} // namespace tenon::detail
