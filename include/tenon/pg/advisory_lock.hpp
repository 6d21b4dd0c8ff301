// Advisory locks: names that one holder at a time may have, instead of rows.
//
// They keep apart those who ask for them, while the server and the session live; a holder that is stopped or cut
// off keeps its lock. For leadership that is safe then, use an election.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <tenon/pg/connection.hpp>

namespace tenon {

class transaction;

/// Waits for the lock; it is held until the transaction ends. Names are hashed to 64 bits by the server.
/// Throws deadlock_detected, deadline_exceeded under a tenon::deadline.
void lock_until_end(transaction& tx, std::string_view name);

/// Takes the lock until the transaction ends if nobody has it; false if somebody does.
[[nodiscard]] bool try_lock_until_end(transaction& tx, std::string_view name);

/// A lock held by a connection over its transactions, for the life of this object. The connection must outlive it and
/// have no transaction open when it begins and ends. Waiting polls with short queries: a query that blocks would hold
/// back vacuum for as long as it waits.
class advisory_lock {
public:
    /// Throws deadline_exceeded when somebody else has had it for all of `timeout`; 0 tries once. A server that is
    /// silent is given a second more, then the connection is closed, as nobody knows whether it has the lock:
    /// connection_lost or deadline_exceeded.
    advisory_lock(connection& on, std::string_view name, std::chrono::milliseconds timeout);
    advisory_lock(const advisory_lock&) = delete;
    advisory_lock& operator=(const advisory_lock&) = delete;
    /// Releases the lock; when the server does not say so within two seconds, by closing the connection.
    ~advisory_lock();

private:
    [[nodiscard]] bool try_once(std::chrono::milliseconds patience);

    connection& connection_;
    std::string name_;
};

} // namespace tenon
