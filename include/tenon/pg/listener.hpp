// LISTEN: notifications from the server, on a session of their own.
//
//     tenon::listener changes{url, {"orders"}};
//     while (const auto note = changes.next(stop))
//         note->gap ? reload_all() : reload(note->payload);
//
// The session is opened again whenever it breaks. Notifications that were sent meanwhile are lost, which is told by a
// notification with `gap` set: look at the tables then. Not for a pooler in transaction mode.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <tenon/pg/connection.hpp>

namespace tenon {

class transaction;

struct notification {
    std::string channel{};
    std::string payload{};
    int sender = 0;   ///< backend pid of the sender
    bool gap = false; ///< no notification: the session was broken and is open again, some may have been missed
};

/// Used by one thread at a time.
class listener {
public:
    /// Opens the session and listens, within `connect_timeout` in all; of several hosts with the primary. Throws
    /// connection_failed, also when the server cannot be reached at first; session_not_dedicated when a pooler answers.
    listener(std::string_view conninfo, std::vector<std::string> channels, const connection_options& options = {});
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;
    ~listener();

    /// The next notification; nullopt once `stop` is requested, which ends any wait. Waits for as long as it takes, and
    /// opens the session again as often as it takes, with pauses that grow to five seconds. Throws as the constructor
    /// what no waiting mends: the server refuses the role, its password, the database or the privilege, or a pooler
    /// answers. May be called again then.
    [[nodiscard]] std::optional<notification> next(const std::stop_token& stop);

private:
    struct state;
    std::unique_ptr<state> state_;
};

/// NOTIFY, delivered when the transaction commits. `payload` has at most 7,999 bytes.
/// Throws what a failing statement throws.
void notify(transaction& tx, std::string_view channel, std::string_view payload = {});

} // namespace tenon
