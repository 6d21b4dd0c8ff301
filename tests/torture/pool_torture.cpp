// The pool under everything at once: ./dev torture pool [--cycles N] [--threads N] [--connections N]
//
// First a calm run: how evenly are connections dealt out? Then backends are ended at random while threads borrow and
// return: no connection may be lost, lent to two at once, or come with an open transaction. Exits 1 when one is; with
// --strict also when the calm run was uneven.
#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>

#include "benchmarks/support/report.hpp"

namespace {

using namespace std::chrono_literals;

struct settings {
    std::int64_t cycles = 1'000'000;
    int threads = 64;
    std::size_t connections = 8;
    bool strict = false;
};

/// Acquisitions of the busiest thread to those of the one that got least.
double unevenness(const std::string& url, const settings& how) {
    tenon::pool db{url, {.max_size = how.connections, .acquire_timeout = 60s}};
    std::vector<std::int64_t> counts(static_cast<std::size_t>(how.threads));
    std::atomic<std::int64_t> left{how.cycles};
    std::barrier start(how.threads);
    {
        std::vector<std::jthread> threads;
        for (std::int64_t& mine : counts)
            threads.emplace_back([&] {
                start.arrive_and_wait();
                std::int64_t count = 0;
                while (left.fetch_sub(1) > 0) {
                    const tenon::connection one = db.acquire();
                    ++count;
                }
                mine = count;
            });
    }
    const auto [least, most] = std::ranges::minmax(counts);
    return static_cast<double>(most) / static_cast<double>(std::max<std::int64_t>(least, 1));
}

struct outcome {
    std::int64_t cycles = 0;
    std::int64_t losses = 0; ///< connection_lost in the middle of a statement
    std::int64_t ended = 0;  ///< backends
    std::int64_t broken = 0; ///< promises: lent twice, with an open transaction, or not there at the end
};

outcome under_fire(const std::string& url, const settings& how) {
    tenon::pool db{url + " application_name=torture", {.max_size = how.connections, .acquire_timeout = 60s}};
    std::array<std::atomic<int>, 65'536> users{}; // by backend pid
    std::atomic<std::int64_t> left{how.cycles};
    std::atomic<std::int64_t> losses{0};
    std::atomic<std::int64_t> ended{0};
    std::atomic<std::int64_t> broken{0};
    std::mutex mutex;
    const auto note = [&](const std::string& what) {
        const std::lock_guard lock(mutex);
        if (++broken <= 10)
            std::cerr << what << '\n';
    };
    const auto borrow = [&](std::minstd_rand& random) {
        tenon::connection one = db.acquire();
        std::atomic<int>& user = users[static_cast<std::size_t>(one.backend_pid()) % users.size()];
        if (user.fetch_add(1) != 0)
            note("a connection was lent to two at once");
        if (random() % 16 == 0) {
            try {
                tenon::transaction tx{one}; // refuses a connection that is inside of a transaction
                tx.execute("insert into torture values (1)");
                if (random() % 2 == 0)
                    tx.commit(); // else it is left open
            } catch (const tenon::connection_lost&) {
                ++losses;
            }
        }
        user.fetch_sub(1);
    };
    {
        std::jthread nemesis([&](const std::stop_token& stop) {
            tenon::connection admin{url};
            while (!stop.stop_requested()) {
                ended += static_cast<std::int64_t>(admin.transact([](tenon::transaction& tx) {
                    return tx.execute("select pg_terminate_backend(pid) from pg_stat_activity"
                                      " where application_name = 'torture' order by random() limit 1");
                }));
                std::this_thread::sleep_for(2ms);
            }
        });
        std::vector<std::jthread> threads;
        for (int i = 0; i < how.threads; ++i)
            threads.emplace_back([&, i] {
                std::minstd_rand random(static_cast<unsigned>(i + 1));
                while (left.fetch_sub(1) > 0)
                    try {
                        borrow(random);
                    } catch (const std::exception& other) {
                        note(other.what());
                    }
            });
    }
    if (db.status().active != 0)
        note("connections are counted as lent although all came back");
    // All places are there: as many can be lent at once as ever.
    std::vector<tenon::connection> all;
    try {
        for (std::size_t i = 0; i < how.connections; ++i)
            all.push_back(db.acquire(30s));
        for (tenon::connection& each : all)
            each.transact([](tenon::transaction& tx) { tx.execute("select 1"); });
    } catch (const std::exception& missing) {
        note(missing.what());
    }
    return {.cycles = how.cycles, .losses = losses, .ended = ended, .broken = broken};
}

int run(const settings& how) {
    tenon::testing::cluster server;
    {
        tenon::connection admin{server.url()};
        admin.transact([](tenon::transaction& tx) { tx.execute("create unlogged table torture (n int)"); });
    }
    const std::string url = "host=" + server.socket_directory().string() + " port=" + std::to_string(server.port()) +
                            " user=postgres dbname=postgres";
    bench::report out("pool_torture");
    constexpr double most_uneven = 1.2;
    const double uneven = unevenness(url, how);
    out.add(
        {.name = "calm: most acquisitions of a thread to least", .value = uneven, .unit = "ratio", .bar = most_uneven});
    const outcome fire = under_fire(url, how);
    out.add({.name = "under fire: cycles", .value = static_cast<double>(fire.cycles), .unit = "cycles"});
    out.add({.name = "under fire: backends ended", .value = static_cast<double>(fire.ended), .unit = "backends"});
    out.add(
        {.name = "under fire: lost in a statement", .value = static_cast<double>(fire.losses), .unit = "statements"});
    out.add({.name = "under fire: connections lost, lent twice or in a transaction",
             .value = static_cast<double>(fire.broken),
             .unit = "connections",
             .bar = 0});
    out.print();
    out.write();
    return fire.broken != 0 || (how.strict && uneven > most_uneven) ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) try {
    settings how;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const bool more = i + 1 < argc;
        if (argument == "--cycles" && more)
            how.cycles = std::max(1000LL, std::atoll(argv[++i]));
        else if (argument == "--threads" && more)
            how.threads = std::clamp(std::atoi(argv[++i]), 1, 1000);
        else if (argument == "--connections" && more)
            how.connections = static_cast<std::size_t>(std::clamp(std::atoi(argv[++i]), 1, 90));
        else if (argument == "--strict")
            how.strict = true;
        else {
            std::cerr << "usage: pool_torture [--cycles N] [--threads N] [--connections N] [--strict]\n";
            return 2;
        }
    }
    return run(how);
} catch (const std::exception& wrong) {
    std::cerr << wrong.what() << '\n';
    return 1;
}
