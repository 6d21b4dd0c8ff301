#include <tenon/core/error.hpp>

#include <utility>

#include <tenon/core/sqlstate.hpp>

namespace tenon {

error::error(const std::string& message, error_properties properties)
    : std::runtime_error(message), properties_(std::make_shared<const error_properties>(std::move(properties))) {}

bool error::retryable() const noexcept {
    return !outcome_unknown() &&
           (sqlstate() == sqlstate::serialization_failure || sqlstate() == sqlstate::deadlock_detected);
}

} // namespace tenon
