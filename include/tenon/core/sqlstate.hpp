// SQLSTATE codes that tenon or its users act upon.
//
// Five characters each, under the condition names of the PostgreSQL manual,
// appendix A "PostgreSQL Error Codes". `error::sqlstate()` compares with them.
#pragma once

#include <string_view>

namespace tenon::sqlstate {

inline constexpr std::string_view not_null_violation = "23502";
inline constexpr std::string_view foreign_key_violation = "23503";
inline constexpr std::string_view unique_violation = "23505";
inline constexpr std::string_view check_violation = "23514";
inline constexpr std::string_view exclusion_violation = "23P01";
inline constexpr std::string_view read_only_transaction = "25006";
inline constexpr std::string_view in_failed_transaction = "25P02";
inline constexpr std::string_view invalid_password = "28P01";
inline constexpr std::string_view serialization_failure = "40001";
inline constexpr std::string_view deadlock_detected = "40P01";
inline constexpr std::string_view insufficient_privilege = "42501";
inline constexpr std::string_view undefined_column = "42703";
inline constexpr std::string_view undefined_table = "42P01";
inline constexpr std::string_view datatype_mismatch = "42804";
inline constexpr std::string_view lock_not_available = "55P03";
inline constexpr std::string_view query_canceled = "57014";

// tenon's own, raised by its functions in the database.
inline constexpr std::string_view fenced_out = "TN001";

} // namespace tenon::sqlstate
