// A time by which the statements of a scope have to be done.
//
//     tenon::deadline limit{tx, 200ms};
//     auto hits = users.where(...).all();   // cancelled on the server when it takes longer
#pragma once

#include <chrono>

namespace tenon {

class transaction;

/// While it lives, a statement that is not answered in time is cancelled, and throws deadline_exceeded: the
/// transaction has failed then (a savepoint undoes that), the session goes on. A server that does not react to the
/// cancellation within a second is given up with connection_lost. Deadlines nest; the earlier one counts, and none
/// outlives its transaction. COMMIT and ROLLBACK are not cut short: they, and the end of a savepoint, heed no deadline.
/// The transaction must outlive it.
class deadline {
public:
    deadline(transaction& tx, std::chrono::milliseconds within);
    deadline(const deadline&) = delete;
    deadline& operator=(const deadline&) = delete;
    ~deadline();

private:
    transaction& transaction_;
    std::chrono::steady_clock::time_point outer_;
};

} // namespace tenon
