// Ends the wait for a socket from another thread.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <stop_token>
#include <system_error>

namespace tenon::detail {

/// A descriptor for poll that is readable once `set` was called, until `clear`.
class wake {
public:
    wake() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (descriptor_ < 0)
            throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    wake(const wake&) = delete;
    wake& operator=(const wake&) = delete;
    ~wake() { ::close(descriptor_); }

    void set() const noexcept { (void)::eventfd_write(descriptor_, 1); }
    void clear() const noexcept {
        eventfd_t count = 0;
        (void)::eventfd_read(descriptor_, &count);
    }
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

} // namespace tenon::detail
