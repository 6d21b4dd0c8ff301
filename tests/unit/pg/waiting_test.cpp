#include "src/pg/waiting.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <mutex>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/boot_clock.hpp>

using namespace std::chrono_literals;
using namespace tenon::detail;
using moment = waiter::clock::time_point;

namespace {

/// Two sockets that lead to each other.
struct pair {
    std::array<int, 2> ends{};
    pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0); }
    ~pair() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    void speak() const { REQUIRE(::write(ends[1], "x", 1) == 1); }
};

/// A signal every half of a millisecond, as a profiler sends them.
struct signal_storm {
    struct sigaction before{};
    signal_storm() {
        struct sigaction heeded{};
        heeded.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &heeded, &before);
        const itimerval every{{0, 500}, {0, 500}};
        ::setitimer(ITIMER_REAL, &every, nullptr);
    }
    ~signal_storm() {
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &before, nullptr);
    }
};

} // namespace

TEST_CASE("a wait ends with the first socket that is ready, and tells which") {
    const pair quiet;
    const pair loud;
    loud.speak();
    std::array sockets{pollfd{quiet.ends[0], POLLIN, 0}, pollfd{-1, POLLIN, 0}, pollfd{loud.ends[0], POLLIN, 0}};
    CHECK(blocking().wait(sockets, moment::max()) == wait_outcome::ready);
    CHECK(sockets[0].revents == 0);
    CHECK(sockets[1].revents == 0);
    CHECK(sockets[2].revents == POLLIN);
    CHECK(blocking().wait(quiet.ends[0], POLLOUT, moment::max()) == wait_outcome::ready);
}

TEST_CASE("a wait for a silent socket ends with its time, and not before") {
    const pair quiet;
    const auto until = after(20ms);
    CHECK(blocking().wait(quiet.ends[0], POLLIN, until) == wait_outcome::timed_out);
    CHECK(waiter::clock::now() >= until);
}

TEST_CASE("a time that has passed looks once and does not wait") {
    const pair one;
    for (const auto passed : {moment::min(), moment{}, waiter::clock::now()}) {
        CHECK(blocking().wait(one.ends[0], POLLIN, passed) == wait_outcome::timed_out);
        CHECK(blocking().wait(one.ends[0], POLLOUT, passed) == wait_outcome::ready);
        CHECK(blocking().sleep(passed) == wait_outcome::timed_out);
    }
}

TEST_CASE("what cannot be waited for is given up") {
    // More sockets than the process may have open.
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit few{.rlim_cur = 64, .rlim_max = before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    std::vector<pollfd> many(few.rlim_cur + 1, pollfd{.fd = -1, .events = POLLIN, .revents = 0});
    CHECK(blocking().wait(many, moment::max()) == wait_outcome::abandoned);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}

TEST_CASE("signals end no wait early") {
    const pair quiet;
    const signal_storm storm;
    auto until = after(30ms);
    CHECK(blocking().wait(quiet.ends[0], POLLIN, until) == wait_outcome::timed_out);
    CHECK(waiter::clock::now() >= until);
    until = after(30ms);
    CHECK(blocking().sleep(until) == wait_outcome::timed_out);
    CHECK(waiter::clock::now() >= until);
    std::mutex mutex;
    std::unique_lock lock(mutex);
    parking_place here;
    until = after(30ms);
    while (blocking().park(here, lock, until) == wait_outcome::ready) {
    }
    CHECK(waiter::clock::now() >= until);
}

TEST_CASE("who is parked gives the mutex up, and is called by another thread") {
    std::mutex mutex;
    parking_place here;
    for (const auto until : {moment::max(), after(1h)}) {
        bool called = false;
        std::unique_lock lock(mutex);
        const worker caller([&] {
            const std::lock_guard inside(mutex); // had for the first time when the other one is parked
            called = true;
            blocking().unpark(here);
        });
        while (!called)
            CHECK(blocking().park(here, lock, until) == wait_outcome::ready);
        CHECK(lock.owns_lock());
    }
}

TEST_CASE("nobody calls: a place is left when the time has come") {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    parking_place here;
    CHECK(blocking().park(here, lock, moment::min()) == wait_outcome::timed_out);
    CHECK(lock.owns_lock());
}

TEST_CASE("a helper runs what it is given on another thread") {
    std::mutex mutex;
    parking_place done;
    std::thread::id where{};
    std::unique_lock lock(mutex);
    blocking().on_helper([&] {
        const std::lock_guard inside(mutex);
        where = std::this_thread::get_id();
        blocking().unpark(done);
    });
    while (where == std::thread::id{})
        (void)blocking().park(done, lock, moment::max());
    CHECK(where != std::this_thread::get_id());
}

TEST_CASE("a bell wakes a worker whose work is due; a stop and the time end the wait, too") {
    std::mutex mutex;
    worker_bell bell;
    bool due = false;
    std::unique_lock lock(mutex);
    const worker ringer([&] {
        const std::lock_guard inside(mutex);
        due = true;
        bell.ring();
    });
    CHECK(bell.wait(lock, {}, moment::max(), [&] { return due; }));
    CHECK_FALSE(bell.wait(lock, {}, after(1ms), [] { return false; }));
    std::stop_source stop;
    (void)stop.request_stop();
    CHECK_FALSE(bell.wait(lock, stop.get_token(), moment::max(), [] { return false; }));
    CHECK_FALSE(bell.wait(lock, stop.get_token(), after(1h), [] { return false; }));
}

TEST_CASE("a length of time means what it says, whatever its size") {
    const auto now = waiter::clock::now();
    CHECK(after(5s, now) == now + 5s);
    CHECK(after(-5s, now) == now - 5s);
    CHECK(after(0ms, now) == now);
    CHECK(after(100 * 365 * 24h, now) == now + 100 * 365 * 24h);
    CHECK(after(std::chrono::milliseconds::max(), now) == moment::max());
    CHECK(after(std::chrono::seconds::max()) == moment::max());
    CHECK(after(std::chrono::hours::max()) == moment::max());
    CHECK(after(std::chrono::nanoseconds::max()) == moment::max());
    CHECK(after(1ms, moment::max()) == moment::max());
    CHECK(after(std::chrono::milliseconds::min(), now) == moment::min());
    CHECK(after<tenon::boot_clock>(std::chrono::milliseconds::max()) == tenon::boot_clock::time_point::max());
    CHECK(saturated(std::chrono::milliseconds::max()) == waiter::clock::duration::max());
    CHECK(saturated(30min) == 30min);
}

TEST_CASE("a short question is given what is left, within reason") {
    CHECK(time_for_an_answer(moment::min()) == 1s);
    CHECK(time_for_an_answer(waiter::clock::now()) == 1s);
    CHECK(time_for_an_answer(after(5min)) > 4min);
    CHECK(time_for_an_answer(moment::max()) == 1h);
}
