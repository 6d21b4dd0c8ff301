// Who uses a session over several calls: a pipeline, a cursor, a COPY. One at a time.
//
// Invariant: a seat has at most one guest, and whoever else wants the session meanwhile is told so by a usage_error. A
// guest's claim ends with it, or with its transaction, whichever is first; one that has lost its seat can touch
// nothing. A guest that leaves before its end leaves work behind (answers to read, a COPY to break off). That is not
// done while it leaves, which may be in the middle of an exception, but when the session is next used, or comes back.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace tenon::detail {

class guest;

class guest_seat {
public:
    guest_seat() = default;
    guest_seat(const guest_seat&) = delete;
    guest_seat& operator=(const guest_seat&) = delete;
    ~guest_seat();

    [[nodiscard]] bool is_taken() const noexcept { return who_ != nullptr; }
    /// Throws usage_error when a guest is at work; one that has left does not count.
    void require_free() const;
    /// A guest has left, and its work has to be cleared.
    [[nodiscard]] bool is_left() const noexcept { return left_ != nullptr; }
    /// Ends the guest's work, whoever it is, and its claim. `until` is the clock's end where the transaction goes on.
    /// Throws what reading its last answers throws; the seat is free in any case.
    void clear(std::chrono::steady_clock::time_point until);

    /// Who leaves is cleared by `now`, there and then: other code may use the connection next. Nothing: it is not.
    void clear_at_once(std::function<void()> now) noexcept { at_once_ = std::move(now); }

private:
    friend class guest;
    guest* who_ = nullptr;
    std::function<void()> at_once_{};
    std::unique_ptr<guest> left_{}; // it is `who_` then
};

class guest {
public:
    using clock = std::chrono::steady_clock;

    guest(const guest&) = delete;
    guest& operator=(const guest&) = delete;
    virtual ~guest();

    [[nodiscard]] bool is_seated() const noexcept { return seat_ != nullptr; }

    /// How its owner lets go of it: what has not come to its end is left to the seat.
    struct leave {
        void operator()(guest* of) const noexcept;
    };

protected:
    /// Takes the seat. `name` is what others are told occupies the session: "a pipeline". Throws usage_error.
    guest(guest_seat& at, const char* name);

    /// Throws usage_error when its transaction has ended.
    void require_seat() const {
        if (seat_ == nullptr)
            throw_outlived();
    }
    /// Its work has come to its end.
    void stand_up() noexcept;

private:
    friend class guest_seat;
    /// Brings the session to a state in which statements can be run. Throws what goes wrong.
    virtual void wind_up(clock::time_point until) = 0;
    [[noreturn]] void throw_outlived() const;

    guest_seat* seat_;
    const char* name_;
};

/// What an owner holds.
template <class Guest>
using seated = std::unique_ptr<Guest, guest::leave>;

} // namespace tenon::detail
