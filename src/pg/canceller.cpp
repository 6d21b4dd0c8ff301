#include "canceller.hpp"

#include <exception>

#include "wake.hpp"

namespace tenon::detail {

std::atomic<bool> settle_cancels{true};

namespace {

enum class progress { under_way, over, failed };

} // namespace

#ifdef LIBPQ_HAS_ASYNC_CANCEL // libpq 17: with the session's own encryption, and without a thread

struct canceller::request {
    explicit request(PGconn* of) : cancel(PQcancelCreate(of)) {
        next = cancel != nullptr && PQcancelStart(cancel) == 1 ? PGRES_POLLING_WRITING : PGRES_POLLING_FAILED;
    }
    request(const request&) = delete;
    request& operator=(const request&) = delete;
    ~request() { PQcancelFinish(cancel); }

    [[nodiscard]] pollfd watched() const noexcept {
        return {.fd = PQcancelSocket(cancel),
                .events = static_cast<short>(next == PGRES_POLLING_WRITING ? POLLOUT : POLLIN),
                .revents = 0};
    }
    progress advance() noexcept {
        // Only when its socket is ready: libpq would take a connection that is being made for one that is there.
        const pollfd now = watched();
        if (next != PGRES_POLLING_FAILED &&
            blocking().wait(now.fd, now.events, waiter::clock::time_point{}) == wait_outcome::ready)
            next = PQcancelPoll(cancel);
        return next == PGRES_POLLING_OK       ? progress::over
               : next == PGRES_POLLING_FAILED ? progress::failed
                                              : progress::under_way;
    }

    PGcancelConn* cancel;
    PostgresPollingStatusType next;
};

bool canceller::start(PGconn* of, waiter& /*by*/) noexcept {
    if (pending())
        return true;
    try {
        request_ = std::make_shared<request>(of);
        return true;
    } catch (const std::exception&) { // no memory
        return false;
    }
}

#else // PQcancel connects, sends and waits for EOF without a time limit: on a helper

struct canceller::request {
    explicit request(PGconn* of) : handle(PQgetCancel(of)) {}
    request(const request&) = delete;
    request& operator=(const request&) = delete;
    ~request() { PQfreeCancel(handle); }

    void run() noexcept {
        char reason[256]; // NOLINT(modernize-avoid-c-arrays): what PQcancel asks for
        const bool sent = PQcancel(handle, reason, sizeof reason) == 1;
        state.store(sent ? progress::over : progress::failed, std::memory_order_release);
        ended.set();
    }
    [[nodiscard]] pollfd watched() const noexcept { return {.fd = ended.descriptor(), .events = POLLIN, .revents = 0}; }
    progress advance() const noexcept { return state.load(std::memory_order_acquire); }

    PGcancel* handle;
    wake ended{};
    std::atomic<progress> state{progress::under_way};
};

bool canceller::start(PGconn* of, waiter& by) noexcept {
    if (pending())
        return true;
    try {
        auto made = std::make_shared<request>(of);
        if (made->handle == nullptr)
            return false;
        by.on_helper([made] { made->run(); });
        request_ = std::move(made);
        return true;
    } catch (const std::exception&) { // no memory, no descriptor
        return false;
    }
}

#endif

canceller::~canceller() = default;

pollfd canceller::watched() const noexcept {
    return request_->watched();
}

void canceller::advance() noexcept {
    if (request_ && (!settle_cancels || request_->advance() == progress::over))
        request_.reset();
}

bool canceller::settle(waiter& by, waiter::clock::time_point until) noexcept {
    for (;;) {
        advance();
        if (!request_)
            return true;
        if (request_->advance() == progress::failed)
            return false;
        pollfd one = request_->watched();
        if (by.wait({&one, 1}, until) != wait_outcome::ready) {
            advance();
            return !request_;
        }
    }
}

} // namespace tenon::detail
