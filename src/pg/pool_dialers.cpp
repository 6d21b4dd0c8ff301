#include "pool_dialers.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "pool_core.hpp"
#include "session.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_dialers = 2;
constexpr auto first_pause = 10ms;
// Half a second at most between tries: a server that is back is found within a second, whoever waits.
constexpr std::chrono::milliseconds longest_pause = 500ms;

} // namespace

void pool_dialers::call() noexcept {
    if (!pool_.dial_needed())
        return;
    if (threads_ < most_dialers && threads_ <= connecting_)
        try {
            pool_.hire([this](const std::stop_token& stop) { run(stop); });
            ++threads_;
        } catch (const std::exception& caught) { // no thread to be had: waiters go on waiting, and learn why
            pool_.history_.note_dial(caught.what());
        }
    called_.ring();
}

void pool_dialers::expect_end(clock::time_point at) noexcept {
    if (at >= next_end_)
        return;
    next_end_ = at;
    called_.ring();
}

void pool_dialers::run(const std::stop_token& stop) {
    std::unique_lock lock(pool_.mutex_);
    while (!stop.stop_requested()) {
        const auto end = next_end_;
        (void)called_.wait(lock, stop, end, [&] { return pool_.dial_needed() || next_end_ < end; });
        if (clock::now() >= next_end_) {
            next_end_ = clock::time_point::max();
            expect_end(pool_.retire_idle(lock));
            continue;
        }
        if (stop.stop_requested() || !pool_.dial_needed())
            continue;
        if (clock::now() < next_dial_) {
            const auto until = next_dial_; // a copy: the other dialer may change it meanwhile
            (void)called_.wait(lock, stop, until, [] { return false; });
            continue;
        }
        ++connecting_;
        call(); // one session is not enough for all: the second dialer joins in
        lock.unlock();
        std::string failure;
        std::unique_ptr<session> opened = open(stop, failure);
        lock.lock();
        --connecting_;
        pool_.history_.note_dial(failure);
        if (opened && !pool_.closed_) {
            longest_pause_ = 0ms;
            opened->lease.returned_at = clock::now();
            pool_.serve(opened.release());
            blocking().unpark(pool_.changed_);
            continue;
        }
        pause();
        if (opened) { // it came too late
            lock.unlock();
            opened.reset();
            lock.lock();
        }
    }
}

void pool_dialers::pause() noexcept {
    longest_pause_ = std::clamp<std::chrono::milliseconds>(2 * longest_pause_, first_pause, longest_pause);
    next_dial_ = clock::now() + std::chrono::milliseconds(
                                    std::uniform_int_distribution<std::int64_t>(1, longest_pause_.count())(random_));
}

std::unique_ptr<session> pool_dialers::open(const std::stop_token& stop, std::string& failure) const {
    const pool_options& how = pool_.options_;
    try {
        auto opened = std::make_unique<session>(pool_.conninfo_, how.connection, how.name, pool_.wanted_, stop);
        if (!how.after_connect)
            return opened;
        connection lent(std::unique_ptr<session, connection::closer>(opened.release(), connection::closer{}));
        how.after_connect(lent);
        opened.reset(lent.session_.release());
        if (opened)
            opened->end_lease(pool_options::reset::never);
        if (opened && opened->is_open())
            return opened;
        failure = "the session did not survive after_connect";
    } catch (const std::exception& caught) {
        failure = caught.what();
    } catch (...) {
        failure = "after_connect threw what is no std::exception";
    }
    if (failure.empty())
        failure = "it is not known why";
    return nullptr;
}

} // namespace tenon::detail
