#include <tenon/pg/transact.hpp>

#include <pqxx/except>

#include <algorithm>
#include <exception>
#include <random>
#include <thread>

#include <tenon/core/error.hpp>

namespace tenon::detail {

namespace {

bool retryable(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const error& ours) {
        return ours.retryable();
    } catch (const pqxx::serialization_failure&) { // thrown by libpqxx code on the same session
        return true;
    } catch (const pqxx::deadlock_detected&) {
        return true;
    } catch (...) {
        return false;
    }
}

} // namespace

attempts::attempts(const transaction_options& how) : left_(how.attempts), backoff_(how.backoff) {
    if (how.attempts < 1)
        throw usage_error("transaction_options::attempts must be at least 1");
    if (how.backoff.count() <= 0)
        throw usage_error("transaction_options::backoff must be more than 0");
}

void attempts::next_or_rethrow() {
    if (--left_ <= 0 || !retryable(std::current_exception()))
        throw;
    thread_local std::minstd_rand random{std::random_device{}()};
    using std::chrono::microseconds;
    std::uniform_int_distribution<microseconds::rep> pause(0, microseconds(backoff_).count());
    std::this_thread::sleep_for(microseconds(pause(random)));
    backoff_ = std::min(2 * backoff_, std::chrono::milliseconds(1000));
}

} // namespace tenon::detail
