#include "copy_out_guest.hpp"

#include <poll.h>

#include <numeric>
#include <string>
#include <vector>

#include "stream_savepoint.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 50ms; // for the rest of one that is left

// Before anything else: looking at the types has round trips of its own.
const statement& checked(session& on, const statement& what) {
    on.take_over();
    std::vector<std::size_t> fields(what.record->columns.size());
    std::iota(fields.begin(), fields.end(), std::size_t{0});
    (void)on.checks().same_types(on, what, fields);
    return what;
}

} // namespace

copy_out_guest::copy_out_guest(session& on, const statement& what) : copy_guest(on, checked(on, what), "a COPY") {
    start(what, std::string(stream_savepoint) + ";", PGRES_COPY_OUT);
}

copy_message copy_out_guest::next_message() {
    require_seat();
    session_.require_time(context_);
    exchange& by = *exchange_;
    by.limit(session_.limit()); // it may have moved since
    by.heard();
    for (;;) {
        char* bytes = nullptr;
        const int size = PQgetCopyData(session_.line().raw(), &bytes, 1);
        if (size > 0)
            return {std::unique_ptr<char, pq_free>(bytes), size};
        if (size < 0)
            break; // its answer tells whether that was the end
        (void)by.wait(POLLIN, context_);
        if (PQconsumeInput(session_.line().raw()) != 1)
            by.fail(context_);
    }
    (void)conclude(by.answer(context_));
    session_.transaction().owe_first(release_stream_savepoint);
    session_.settle_debts_where_lent();
    return {};
}

// The rest may be in the socket already; what is not soon there is cancelled.
void copy_out_guest::wind_up(clock::time_point /*until*/) {
    const exchange_ends in_any_case{exchange_};
    if (!exchange_ || !session_.is_open())
        return;
    exchange& by = *exchange_;
    const auto limit = after(patience);
    by.limit({.until = limit});
    by.heard();
    for (;;) {
        char* bytes = nullptr;
        const int size = PQgetCopyData(session_.line().raw(), &bytes, 1);
        if (size < 0)
            break;
        if (size > 0) {
            PQfreemem(bytes);
            if (clock::now() >= limit) // a quick server never lets a reader wait
                by.cancel();
            continue;
        }
        (void)by.wait(POLLIN, context_);
        if (PQconsumeInput(session_.line().raw()) != 1)
            by.fail(context_);
    }
    (void)by.answer(context_);
    owe_undo_of_stream(session_.transaction());
}

} // namespace tenon::detail
