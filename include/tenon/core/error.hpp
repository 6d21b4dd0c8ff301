// Everything that tenon throws.
//
// One root, `tenon::error`, with a leaf only where a caller acts differently; the rest is told by
// properties. Errors are cheap to copy and safe to hand to another thread. No `what()` holds a
// password or a parameter value; `detail()`, `where()` and `server_message()` are the server's own text and
// may hold values: do not log them blindly.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tenon {

/// What is known about a failure besides its sentence. Empty strings mean "not known".
struct error_properties {
    std::string sqlstate{};   ///< five characters, see core/sqlstate.hpp; empty if the server said nothing
    std::string statement{};  ///< SQL text as sent, without its parameter values
    std::string constraint{}; ///< constraint that was violated
    std::string table{};
    std::string column{};         ///< column, or "a, b" where a constraint covers several
    std::string detail{};         ///< server's DETAIL; may hold values of the row: do not log blindly
    std::string hint{};           ///< server's HINT
    std::string where{};          ///< server's CONTEXT: the function or trigger it happened in; may hold values, too
    std::string server_message{}; ///< the server's sentence as it came; may hold values, too
    bool outcome_unknown = false;
    std::uint64_t transaction_id = 0; ///< of a transaction with `keep_id`; 0 when it is not known
};

class error : public std::runtime_error {
public:
    explicit error(const std::string& message, error_properties properties = {});

    [[nodiscard]] std::string_view sqlstate() const noexcept { return properties_->sqlstate; }
    [[nodiscard]] std::string_view statement() const noexcept { return properties_->statement; }
    [[nodiscard]] std::string_view constraint() const noexcept { return properties_->constraint; }
    [[nodiscard]] std::string_view table() const noexcept { return properties_->table; }
    [[nodiscard]] std::string_view column() const noexcept { return properties_->column; }
    [[nodiscard]] std::string_view detail() const noexcept { return properties_->detail; }
    [[nodiscard]] std::string_view hint() const noexcept { return properties_->hint; }
    [[nodiscard]] std::string_view where() const noexcept { return properties_->where; }
    [[nodiscard]] std::string_view server_message() const noexcept { return properties_->server_message; }

    /// True when running the whole transaction again may succeed and can do no harm: the server has
    /// rolled it back for a serialization failure or a deadlock (manual, section 13.5).
    [[nodiscard]] bool retryable() const noexcept;

    /// True when the server may or may not have committed, as the connection was lost while COMMIT was under way; or
    /// has committed without its synchronous standby, as the wait for it was cut short. Never retried by tenon.
    [[nodiscard]] bool outcome_unknown() const noexcept { return properties_->outcome_unknown; }

    /// The server's number of the transaction, for `commit_status`; 0 without transaction_options::keep_id.
    [[nodiscard]] std::uint64_t transaction_id() const noexcept { return properties_->transaction_id; }

private:
    std::shared_ptr<const error_properties> properties_; // shared: copying an exception must not throw
};

/// A row broke a constraint of its table; `constraint()`, `table()` and `column()` tell which.
class constraint_violation : public error {
    using error::error;
};
class unique_violation : public constraint_violation {
    using constraint_violation::constraint_violation;
};
class foreign_key_violation : public constraint_violation {
    using constraint_violation::constraint_violation;
};
class check_violation : public constraint_violation {
    using constraint_violation::constraint_violation;
};
class not_null_violation : public constraint_violation {
    using constraint_violation::constraint_violation;
};

/// Concurrent transactions could not be put in an order; `transact` runs the lambda again.
class serialization_failure : public error {
    using error::error;
};

/// Transactions waited for each other and the server ended this one; `transact` runs the lambda again.
class deadlock_detected : public error {
    using error::error;
};

/// COMMIT was refused because an earlier statement of the transaction had failed: nothing was stored.
class failed_transaction : public error {
    using error::error;
};

/// No session could be opened: server not there, wrong password, no such database.
class connection_failed : public error {
    using error::error;
};

/// An open session broke, or one that broke earlier was used. See `outcome_unknown()`.
class connection_lost : public error {
    using error::error;
};

/// No connection became free within the acquire timeout.
class pool_timeout : public error {
    using error::error;
};

/// The pool was closed: it lends nothing any more.
class pool_closed : public error {
    using error::error;
};

/// Record and table do not fit: no such table or column, or another type. Lists every mismatch at once.
class schema_mismatch : public error {
    using error::error;
};

/// Bytes from the server are not a value of the C++ type, or NULL met a field that is not optional.
class decode_error : public error {
    using error::error;
};

/// A C++ value has no form in PostgreSQL: NUL inside text, an enumerator without a name, a time out of range.
class encode_error : public error {
    using error::error;
};

/// A statement was not done by its deadline and was cancelled; see pg/deadline.hpp.
class deadline_exceeded : public error {
    using error::error;
};

/// The row was changed or erased by somebody else since it was read: see tenon::version.
class stale_record : public error {
    using error::error;
};

/// The row that was asked for does not exist.
class row_not_found : public error {
    using error::error;
};

/// One row was asked for and there are more.
class too_many_rows : public error {
    using error::error;
};

/// Row-level security would not hold: the role bypasses it, or owns a table that does not force it on owners.
class tenant_not_isolated : public error {
    using error::error;
};

/// A leader's term is over: another one has begun, or its lease ran out. Nothing of the transaction was stored.
class fenced_out : public error {
    using error::error;
};

/// An election or a listener needs a session of its own with the server, and got one of a pooler.
class session_not_dedicated : public error {
    using error::error;
};

/// tenon was used against its rules: a program error, not an outage.
class usage_error : public error {
    using error::error;
};

} // namespace tenon
