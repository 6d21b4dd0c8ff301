// The pool beside what one would write without it, and a transaction beside hand-written libpq.
//
//     ./dev bench pool
#include <libpq-fe.h>

#include <benchmark/benchmark.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <tenon/tenon.hpp>
#include <tenon/testing/gate.hpp>

#include "support/allocations.hpp"
#include "support/comparison.hpp"
#include "support/report.hpp"

namespace {

using namespace bench;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr int cycles = 100'000;
constexpr int contended_cycles = 20'000;
constexpr std::size_t connections = 8;
constexpr int transactions = 1'000;

struct finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using raw_connection = std::unique_ptr<PGconn, finish>;

raw_connection connect(const std::string& url) {
    raw_connection made(PQconnectdb(url.c_str()));
    if (PQstatus(made.get()) != CONNECTION_OK)
        throw std::runtime_error(PQerrorMessage(made.get()));
    return made;
}

/// A mutex and a vector: nobody waits, nothing is checked.
class bare_pool {
public:
    explicit bare_pool(const std::string& url) { idle_.push_back(connect(url)); }

    /// `look`: at the socket, as a pool has to that must not lend a dead connection.
    void cycle(bool look) {
        const auto lent_at = clock_type::now();
        raw_connection one;
        {
            const std::lock_guard lock(mutex_);
            one = std::move(idle_.back());
            idle_.pop_back();
        }
        if (look) {
            pollfd socket{.fd = PQsocket(one.get()), .events = POLLIN, .revents = 0};
            if (::poll(&socket, 1, 0) != 0)
                throw std::runtime_error("the server has hung up");
        }
        benchmark::DoNotOptimize(one);
        const std::lock_guard lock(mutex_);
        used_ += clock_type::now() - lent_at;
        idle_.push_back(std::move(one));
    }

private:
    std::mutex mutex_;
    std::vector<raw_connection> idle_;
    clock_type::duration used_{};
};

/// Bounded, with a condition variable: whoever wakes first is served.
class waiting_pool {
public:
    explicit waiting_pool(const std::string& url) {
        for (std::size_t i = 0; i < connections; ++i)
            idle_.push_back(connect(url));
    }
    void cycle() {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [this] { return !idle_.empty(); });
        raw_connection one = std::move(idle_.back());
        idle_.pop_back();
        lock.unlock();
        benchmark::DoNotOptimize(one);
        lock.lock();
        idle_.push_back(std::move(one));
        lock.unlock();
        ready_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    std::vector<raw_connection> idle_;
};

/// As sqlpp's: never waits, opens another when none is free.
class unbounded_pool {
public:
    explicit unbounded_pool(const std::string& url) : url_(url) {}
    void cycle() {
        raw_connection one;
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                one = std::move(idle_.front());
                idle_.pop_front();
            }
        }
        if (!one)
            one = connect(url_);
        benchmark::DoNotOptimize(one);
        const std::lock_guard lock(mutex_);
        idle_.push_back(std::move(one));
    }

private:
    std::string url_;
    std::mutex mutex_;
    std::deque<raw_connection> idle_;
};

/// Counts what it is told, as metrics would.
struct counting_observer final : tenon::observer {
    std::atomic<std::uint64_t> events{0};
    std::atomic<std::int64_t> used{0};
    void acquired(const tenon::acquire_event&) noexcept override { events.fetch_add(1, std::memory_order_relaxed); }
    void released(const tenon::release_event& event) noexcept override {
        used.fetch_add(event.use.count(), std::memory_order_relaxed);
    }
};

template <class Cycle>
void with_threads(int count, Cycle cycle) {
    std::barrier start(count);
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&] {
            start.arrive_and_wait();
            for (int k = contended_cycles / count; k > 0; --k)
                cycle();
        });
}

/// BEGIN, one prepared select by key and COMMIT, each awaited.
class raw_transactions {
public:
    explicit raw_transactions(const std::string& url) : connection_(connect(url)) {
        PQclear(
            PQprepare(connection_.get(), "find", "select id, text from tenon_pool_bench where id = $1", 0, nullptr));
    }
    void run(std::int64_t id) {
        const std::string key = std::to_string(id);
        const char* const value = key.c_str();
        expect(PQexec(connection_.get(), "begin"), PGRES_COMMAND_OK);
        expect(PQexecPrepared(connection_.get(), "find", 1, &value, nullptr, nullptr, 1), PGRES_TUPLES_OK);
        expect(PQexec(connection_.get(), "commit"), PGRES_COMMAND_OK);
    }

private:
    void expect(PGresult* answer, ExecStatusType status) {
        const bool right = PQresultStatus(answer) == status;
        PQclear(answer);
        if (!right)
            throw std::runtime_error(PQerrorMessage(connection_.get()));
    }
    raw_connection connection_;
};

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("tenon_pool_bench", tenon::key<&Row::id>);
};

void add(report& out, const comparison& what, int rounds) {
    out.add(summary(what, measure(what, rounds)));
}

int run(const std::string& url, int rounds) {
    report out("pool");
    const auto counted = std::make_shared<counting_observer>();
    tenon::pool watched{url, {.max_size = 1, .connection = {.observer = counted}}};
    bare_pool bare{url};
    const auto cycle = [&] {
        const tenon::connection one = watched.acquire();
        benchmark::DoNotOptimize(&one);
    };
    cycle();
    add(out,
        {.name = "acquire and release, one thread",
         .unit = "us",
         .items = cycles,
         .contenders = {{.name = "mutex, vector, two clocks",
                         .run =
                             [&] {
                                 for (int i = 0; i < cycles; ++i)
                                     bare.cycle(false);
                             }},
                        {.name = "and a look at the socket",
                         .run =
                             [&] {
                                 for (int i = 0; i < cycles; ++i)
                                     bare.cycle(true);
                             }},
                        {.name = "tenon, observed",
                         .run =
                             [&] {
                                 for (int i = 0; i < cycles; ++i)
                                     cycle();
                             },
                         .bar = 2.0}}},
        rounds);
    const std::uint64_t before = allocations();
    for (int i = 0; i < cycles; ++i)
        cycle();
    const std::uint64_t allocated = allocations() - before;
    out.add({.name = "heap allocations of acquire and release",
             .value = static_cast<double>(allocated) / cycles,
             .unit = "a cycle",
             .bar = 0});

    waiting_pool waiting{url};
    unbounded_pool unbounded{url};
    tenon::pool db{url, {.max_size = connections, .acquire_timeout = 60s}};
    for (int threads = 1; threads <= 64; threads *= 2)
        add(out,
            {.name = "acquire and release, " + std::to_string(threads) + " threads, 8 connections",
             .unit = "us",
             .items = contended_cycles,
             .contenders = {{.name = "mutex and condition variable",
                             .run = [&, threads] { with_threads(threads, [&] { waiting.cycle(); }); }},
                            {.name = "unbounded list",
                             .run = [&, threads] { with_threads(threads, [&] { unbounded.cycle(); }); }},
                            {.name = "tenon",
                             .run =
                                 [&, threads] {
                                     with_threads(threads,
                                                  [&] { benchmark::DoNotOptimize(db.acquire().backend_pid()); });
                                 }}}},
            std::max(3, rounds / 4));

    db.transact([](tenon::transaction& tx) {
        tx.execute("drop table if exists tenon_pool_bench;"
                   "create table tenon_pool_bench (id bigint primary key, text text not null);"
                   "insert into tenon_pool_bench select i, 'text ' || i from generate_series(1, 1000) i");
    });
    raw_transactions raw{url};
    add(out,
        {.name = "transaction of one statement",
         .unit = "us",
         .items = transactions,
         .contenders = {{.name = "libpq, three round trips",
                         .run =
                             [&] {
                                 for (int i = 1; i <= transactions; ++i)
                                     raw.run(i);
                             }},
                        {.name = "tenon transact",
                         .run =
                             [&] {
                                 for (std::int64_t i = 1; i <= transactions; ++i)
                                     benchmark::DoNotOptimize(db.transact(
                                         [i](tenon::transaction& tx) { return tenon::repository<Row>{tx}.get(i); }));
                             },
                         .bar = 1.05}}},
        rounds);
    {
        tenon::testing::gate gate{url};
        tenon::pool through{gate.url(), {.max_size = 1}};
        const auto one = [&] {
            through.transact([](tenon::transaction& tx) { (void)tenon::repository<Row>{tx}.get(std::int64_t{7}); });
        };
        one();
        gate.reset_counters();
        one();
        out.add({.name = "round trips of a transaction of one statement",
                 .value = static_cast<double>(gate.round_trips()),
                 .unit = "round trips",
                 .bar = 2});
    }
    db.transact([](tenon::transaction& tx) { tx.execute("drop table tenon_pool_bench"); });
    out.print();
    out.write();
    std::cout << "\nwritten to bench-report/pool.json and bench-report/pool.svg\n";
    return 0;
}

} // namespace

int main(int argc, char** argv) try {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    if (url == nullptr || argc > 3 || (argc == 3 && std::string_view(argv[1]) != "--rounds")) {
        std::cerr
            << "usage: pool_bench [--rounds N], with TENON_DATABASE_URL; ./dev bench pool makes a server for it\n";
        return 2;
    }
    return run(url, argc == 3 ? std::max(1, std::atoi(argv[2])) : 31);
} catch (const std::exception& error) {
    std::cerr << "pool_bench: " << error.what() << '\n';
    return 1;
}
