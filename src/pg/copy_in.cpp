#include <tenon/pg/copy_in.hpp>

#include <poll.h>

#include <utility>

#include <tenon/pg/transaction.hpp>

#include "copy_guest.hpp"
#include "session_access.hpp"

namespace tenon {

namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 50ms; // for a COPY that is broken off

} // namespace

// While the client sends, the server may want to be heard: notices of a trigger that nobody reads would stop it.
class copy_in_guest final : public copy_guest {
public:
    copy_in_guest(session& on, const statement& what) : copy_guest(on, what, "a COPY") {
        start(what, {}, PGRES_COPY_IN);
    }

    void put(std::string_view bytes) {
        require_seat();
        session_.require_time(context_);
        exchange& by = *exchange_;
        by.limit(session_.limit());
        repeat(by, [&](PGconn* on) { return PQputCopyData(on, bytes.data(), static_cast<int>(bytes.size())); });
        by.flush(context_); // what is queued stays small: the server takes it at its own pace
    }

    std::uint64_t finish() {
        require_seat();
        exchange& by = *exchange_;
        repeat(by, [](PGconn* on) { return PQputCopyEnd(on, nullptr); });
        return conclude(by.answer(context_));
    }

private:
    void repeat(exchange& by, auto call) {
        for (;;) {
            int queued = 0;
            by.send(context_, [&](PGconn* on) {
                queued = call(on);
                return queued < 0 ? 0 : 1;
            });
            if (queued != 0)
                return;
            by.flush(context_);
        }
    }

    void wind_up(clock::time_point /*until*/) override {
        const exchange_ends in_any_case{exchange_};
        if (!exchange_ || !session_.is_open())
            return;
        exchange& by = *exchange_;
        by.limit({.until = after(patience)});
        repeat(by, [](PGconn* on) { return PQputCopyEnd(on, "broken off by the client"); });
        const pg_result_ptr answer = by.answer(context_);
        session_.require_success(answer.get(), context_, by); // as meant: the transaction has failed
    }
};

void copy_in_leave::operator()(copy_in_guest* of) const noexcept {
    guest::leave{}(of);
}

} // namespace detail

copy_in::copy_in(transaction& tx, const statement& what, std::span<const std::size_t> fields)
    : what_(what), fields_(fields.begin(), fields.end()) {
    detail::session& on = session_access::of(tx);
    on.take_over();
    types_ = on.checks().same_types(on, what, fields);
    guest_.reset(new detail::copy_in_guest(on, what));
    rows_.append(detail::copy_header);
}

copy_in::~copy_in() = default;

void copy_in::flush() {
    guest_->put(rows_.bytes());
    rows_.clear();
}

std::uint64_t copy_in::finish() {
    if (!guest_)
        throw usage_error("copy_in: it has been finished already");
    rows_.put(std::int16_t{-1});
    flush();
    const auto done = std::move(guest_);
    return done->finish();
}

} // namespace tenon
