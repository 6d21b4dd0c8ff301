// Asking the server to end what a session runs, and knowing when that request is over.
//
// Invariant: while `pending()`, a signal may still be on its way to the session's backend and would end whatever runs
// there when it arrives. A request names a backend, not a statement, and its one connection makes the server send two
// signals: only the end of that connection (EOF) says that both have been sent. There is one request at a time.
// Source: PostgreSQL manual, "Canceling Requests in Progress"; processCancelRequest and SendCancelRequest in its
// source.
#pragma once

#include <libpq-fe.h>
#include <poll.h>

#include <atomic>
#include <memory>

#include "waiting.hpp"

namespace tenon::detail {

/// Off, a request counts as over as soon as it is made: only for the checker that shows what that would break.
extern std::atomic<bool> settle_cancels;

class canceller {
public:
    canceller() = default;
    canceller(const canceller&) = delete;
    canceller& operator=(const canceller&) = delete;
    ~canceller();

    /// Makes a request, unless one is pending. False when none can be made.
    bool start(PGconn* of, waiter& by) noexcept;

    [[nodiscard]] bool pending() const noexcept { return request_ != nullptr; }

    /// What to wait for while it is pending; then `advance`.
    [[nodiscard]] pollfd watched() const noexcept;
    /// Goes on with the request, and notices its end. Does not wait.
    void advance() noexcept;

    /// Waits for the end of the request. False when it is not over by then, or could not be delivered: the session
    /// must not be used any more.
    [[nodiscard]] bool settle(waiter& by, waiter::clock::time_point until) noexcept;

private:
    struct request;
    std::shared_ptr<request> request_{};
};

} // namespace tenon::detail
