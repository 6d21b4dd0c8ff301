#include <tenon/pg/transact.hpp>

#include <pqxx/except>

#include <algorithm>
#include <exception>
#include <random>
#include <string>
#include <string_view>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>

#include "waiting.hpp"

namespace tenon::detail {

namespace {

constexpr auto longest_backoff = std::chrono::milliseconds(1000);

// Empty when the failure is none that another attempt could mend.
std::string retryable_state(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const error& ours) {
        return ours.retryable() ? std::string(ours.sqlstate()) : std::string();
    } catch (const pqxx::serialization_failure&) { // thrown by libpqxx code on the same session
        return std::string(sqlstate::serialization_failure);
    } catch (const pqxx::deadlock_detected&) {
        return std::string(sqlstate::deadlock_detected);
    } catch (...) {
        return {};
    }
}

} // namespace

attempts::attempts(const transaction_options& how)
    : how_(how),
      backoff_(how.backoff),
      until_(how.deadline.count() > 0 ? after(how.deadline) : std::chrono::steady_clock::time_point::max()) {
    if (how.attempts < 1)
        throw usage_error("transaction_options::attempts must be at least 1");
    if (how.backoff.count() <= 0)
        throw usage_error("transaction_options::backoff must be more than 0");
    if (how.deadline.count() < 0)
        throw usage_error("transaction_options::deadline must not be negative; 0 sets none");
}

transaction_options attempts::options() const {
    if (until_ == std::chrono::steady_clock::time_point::max())
        return how_;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now());
    if (left.count() <= 0)
        throw deadline_exceeded("transact: the deadline has passed before attempt " + std::to_string(number_));
    transaction_options options = how_;
    options.deadline = left;
    return options;
}

void attempts::failed(const std::exception_ptr& failure, observer* told, std::string_view pool) {
    const std::string state = retryable_state(failure);
    if (number_ >= how_.attempts || state.empty())
        std::rethrow_exception(failure);
    std::minstd_rand random{std::random_device{}()};
    using std::chrono::microseconds;
    // However long a backoff is asked for, in microseconds it must not overflow.
    const auto most = std::chrono::duration_cast<microseconds>(
        std::min<std::chrono::duration<double>>(backoff_, std::chrono::hours(24 * 365)));
    std::uniform_int_distribution<microseconds::rep> pause(0, most.count());
    const microseconds chosen(pause(random));
    if (std::chrono::steady_clock::now() + chosen >= until_)
        std::rethrow_exception(failure); // it tells more than a missed deadline would
    if (told != nullptr)
        told->retried({.pool = pool, .attempt = number_, .response_status = state, .pause = chosen});
    pause_ = chosen;
    ++number_;
    backoff_ = std::min(2 * std::min(backoff_, longest_backoff), longest_backoff);
}

void attempts::pause() const noexcept {
    (void)blocking().sleep(after(pause_));
}

} // namespace tenon::detail
