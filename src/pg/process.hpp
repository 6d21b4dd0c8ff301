// Which process this is: fork() copies memory and sockets, but no threads, and leaves mutexes as they were.
//
// The rule: a child uses nothing of its parent's. It may destroy its copies, which takes no lock that may be held for
// ever, waits for no thread, and says nothing to a server, whose sessions are the parent's.
#pragma once

#include <atomic>

namespace tenon::detail {

/// Counted by process.cpp in each child.
extern std::atomic<unsigned> generation_of_process;

/// How many forks lie between the first process of the program and this one.
[[nodiscard]] inline unsigned process_generation() noexcept {
    return generation_of_process.load(std::memory_order_relaxed);
}

/// Since then this process was made by fork(). (Not by vfork() or clone(), whose children have nothing to destroy.)
[[nodiscard]] inline bool forked_since(unsigned generation) noexcept {
    return process_generation() != generation;
}

} // namespace tenon::detail
