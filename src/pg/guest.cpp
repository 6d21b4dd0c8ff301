#include "guest.hpp"

#include <string>
#include <utility>

#include <tenon/core/error.hpp>

namespace tenon::detail {

guest_seat::~guest_seat() {
    if (who_ != nullptr)
        who_->stand_up();
}

void guest_seat::require_free() const {
    if (who_ != nullptr && !left_)
        throw usage_error(std::string(who_->name_) +
                          " is under way on this connection: end it before the next statement");
}

void guest_seat::clear(std::chrono::steady_clock::time_point until) {
    if (who_ == nullptr)
        return;
    const std::unique_ptr<guest> left = std::move(left_); // goes at the end, if it was left
    struct stands_up {
        guest& who;
        ~stands_up() { who.stand_up(); }
    } const in_any_case{*who_};
    who_->wind_up(until);
}

guest::guest(guest_seat& at, const char* name) : seat_(&at), name_(name) {
    at.require_free();
    at.who_ = this;
}

guest::~guest() {
    stand_up();
}

void guest::stand_up() noexcept {
    if (guest_seat* const seat = std::exchange(seat_, nullptr))
        seat->who_ = nullptr;
}

void guest::leave::operator()(guest* of) const noexcept {
    guest_seat* const seat = of->seat_;
    if (seat == nullptr) {
        delete of;
        return;
    }
    seat->left_.reset(of);
    if (seat->at_once_)
        seat->at_once_();
}

void guest::throw_outlived() const {
    throw usage_error(std::string(name_) + " cannot go on: its transaction has ended");
}

} // namespace tenon::detail
