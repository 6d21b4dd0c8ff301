// A session for one purpose, watched by its owner: what elections stand on.
//
// The server ends it by itself when nothing is heard for the lease (`idle_session_timeout`, set when connecting), so a
// client that is stopped or cut off cannot keep its locks. The owner waits for the socket, for a moment in time or for
// another thread, on a clock that counts suspend. Used by one thread at a time, but for `wake`.
#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <tenon/core/boot_clock.hpp>

namespace tenon::detail {

struct dedicated_options {
    std::string conninfo;
    std::string application_name; ///< in pg_stat_activity
    std::chrono::milliseconds lease;
    std::chrono::milliseconds connect_timeout; ///< for all hosts
    std::chrono::milliseconds lock_timeout;
};

class dedicated_session {
public:
    using clock = boot_clock;
    using row = std::vector<std::string>; ///< NULL is empty

    explicit dedicated_session(dedicated_options how);
    dedicated_session(const dedicated_session&) = delete;
    dedicated_session& operator=(const dedicated_session&) = delete;
    ~dedicated_session();

    /// Opens the session with a primary. Throws connection_failed; session_not_dedicated when a pooler answers.
    void open(const std::stop_token& stop);
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept;

    /// Runs one statement with parameters in text form. Throws what the server reports; connection_lost also when no
    /// answer comes by `until`, and the session is closed then.
    std::vector<row> ask(const char* sql, std::initializer_list<std::string_view> parameters, clock::time_point until);

    enum class event { time, woken, notified, lost };
    /// Waits for the first of these; without a session for the time or `wake`.
    [[nodiscard]] event wait(clock::time_point until);
    /// Ends a wait, or the next one; from any thread.
    void wake() noexcept;
    /// Ends it all, a statement under way too, and for good: `ask` and `open` throw connection_lost; from any thread.
    void abandon() noexcept;

    /// The payloads of notifications that have arrived, in order.
    [[nodiscard]] std::vector<std::string> take_notifications();

    /// Why the session ended, in the server's words where it said any.
    [[nodiscard]] const std::string& last_words() const noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace tenon::detail
