// The session under everything at once:
// ./dev torture session [--transactions N] [--threads N] [--seed N] [--cases N] [--unsettled]
//     [--trace TRANSACTION]
//
// Threads on one pool run statements, pipelines, streams, COPY both ways, savepoints and commits, with deadlines,
// cancels and early ends, while backends are ended, answers to COMMIT get lost, and a gate delays what passes, cancel
// requests most of all. A model knows what each transaction should have stored (session_model.hpp), each player which
// failures it has coming (session_player.hpp). Then five cases in which a late cancel request once did harm, each again
// and again (session_cases.hpp). Exits 1 when a promise was broken. With --unsettled sessions do not wait for the end
// of their cancel requests, and it exits 1 when that was NOT found out: the checker can fail.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>
#include <tenon/testing/gate.hpp>

#include "benchmarks/support/report.hpp"
#include "session_cases.hpp"
#include "session_model.hpp"
#include "session_nemesis.hpp"
#include "session_player.hpp"
#include "session_tally.hpp"
#include "src/pg/canceller.hpp"

namespace {

using namespace std::chrono_literals;
using namespace torture;

struct settings {
    std::int64_t transactions = 100'000;
    int threads = 16;
    std::uint64_t seed = std::random_device{}();
    int cases = 1000;
    std::int64_t traced = 0;
    bool unsettled = false;
};

constexpr std::size_t connections = 8;
constexpr std::size_t statement_cache = 32; // fewer than there are statements

std::string conninfo(const tenon::testing::cluster& server) {
    return "host=" + server.socket_directory().string() + " port=" + std::to_string(server.port()) +
           " user=postgres dbname=postgres";
}

void wait_until_gone(tenon::connection& admin, const std::string& name) {
    static constexpr tenon::query<std::int64_t, std::string> sessions{
        "select count(*) from pg_stat_activity where application_name = $1"};
    while (admin.transact([&](tenon::transaction& tx) { return sessions.one(tx, name); }) > 0)
        std::this_thread::sleep_for(10ms);
}

void compare(session_model& model, tenon::connection& admin, std::int64_t first, std::int64_t last, tally& found) {
    const session_model::difference wrong = model.compare(admin, first, last);
    for (const std::string& each : wrong.missing)
        found.note(broken::missing, each);
    for (const std::string& each : wrong.unwanted)
        found.note(broken::unwanted, each);
}

struct happened {
    std::int64_t played = 0;
    std::int64_t ended = 0;
    std::int64_t swallowed = 0;
    std::uint64_t cancels = 0;
    std::uint64_t cancels_lost = 0;
};

happened play(const settings& how, session_model& model, tally& found, std::deque<heartbeat>& pulses) {
    heartbeat& own = pulses[0];
    own.doing("starts a server");
    const tenon::testing::cluster server;
    tenon::connection admin{conninfo(server)};
    create_tables(admin);
    tenon::testing::gate gate{conninfo(server) + " application_name=" + pool_name};
    happened all;
    {
        nemesis faults{
            conninfo(server), gate, found, pulses[1], {.seed = how.seed, .only_late_cancels = how.unsettled}};
        tenon::pool db{
            gate.url(),
            {.max_size = connections, .acquire_timeout = 60s, .connection = {.statement_cache = statement_cache}}};
        arena shared{.db = db,
                     .url = conninfo(server),
                     .faults = faults,
                     .model = model,
                     .found = found,
                     .seed = how.seed,
                     .traced = how.traced,
                     .statement_cache = statement_cache};
        std::atomic<std::int64_t> next{1};
        std::atomic<int> playing{how.threads};
        std::vector<std::jthread> threads;
        for (int i = 0; i < how.threads; ++i)
            threads.emplace_back([&, i] {
                heartbeat& pulse = pulses[static_cast<std::size_t>(i) + 2];
                player one{shared, pulse};
                for (std::int64_t number = 0; (number = next++) <= how.transactions;)
                    if (!how.unsettled || found.count(broken::innocent_ended) == 0)
                        one.play(number);
                pulse.rests();
                --playing;
            });
        std::int64_t compared = 0;
        while (playing > 0) {
            own.doing("compares");
            if (const std::int64_t ended = model.ended_up_to(); ended >= compared + 500) {
                compare(model, admin, compared + 1, ended, found);
                compared = ended;
            }
            std::this_thread::sleep_for(100ms);
        }
        threads.clear();
        all.ended = faults.ended();
        all.swallowed = faults.swallowed();
        own.doing("ends the pool");
    }
    all.cancels = gate.cancels();
    all.cancels_lost = all.cancels - gate.cancels_passed();
    own.doing("waits for the last backend");
    wait_until_gone(admin, pool_name);
    all.played = model.ended_up_to();
    own.doing("compares all");
    compare(model, admin, 1, all.played, found);
    return all;
}

int run(const settings& how) {
    const char* const suite = how.unsettled ? "session_torture_unsettled" : "session_torture";
    std::cout << "seed " << how.seed << std::endl; // also when it hangs
    tenon::detail::settle_cancels = !how.unsettled;
    session_model model{how.transactions};
    tally found;
    std::deque<heartbeat> pulses;
    pulses.emplace_back("the checker itself");
    pulses.emplace_back("the nemesis");
    for (int i = 0; i < how.threads; ++i)
        pulses.emplace_back("thread " + std::to_string(i + 1));
    const hang_watch watch{pulses, suite};

    const happened all = play(how, model, found, pulses);
    std::vector<case_result> cases;
    if (!how.unsettled)
        cases = play_cases(how.cases, pulses[0]);
    pulses[0].rests();

    bench::report out(suite);
    const auto count = [](auto number) { return static_cast<double>(number); };
    const auto tell = [&](std::string name, auto value, std::string unit) {
        out.add({.name = std::move(name), .value = count(value), .unit = std::move(unit)});
    };
    using fate = session_model::fate;
    tell("transactions", all.played, "transactions");
    tell("committed", model.count(fate::stored), "transactions");
    tell("outcomes unknown, and asked for", found.outcomes_asked.load(), "transactions");
    tell("outcomes unknown, all or nothing", model.count(fate::either), "transactions");
    tell("deadlines missed", found.deadlines_missed.load(), "times");
    tell("streams and COPY left early", found.left_early.load(), "times");
    tell("cancelled from outside", found.cancelled_from_outside.load(), "statements");
    tell("cancel requests", all.cancels, "requests");
    tell("cancel requests that got lost", all.cancels_lost, "requests");
    tell("backends ended", all.ended, "backends");
    tell("answers to COMMIT lost", all.swallowed, "answers");
    tell("given up with a cancel request of their own", found.given_up.load(), "connections");
    // One for each at most, and for an answer that was lost after the nemesis had counted.
    const std::int64_t most_losses = all.ended + all.swallowed + 1;
    bool wrong = found.losses > most_losses;
    out.add({.name = "connections lost by either",
             .value = count(found.losses.load()),
             .unit = "connections",
             .bar = count(most_losses)});
    for (std::size_t i = 0; i < broken_names.size(); ++i) {
        const std::int64_t times = found.count(static_cast<broken>(i));
        wrong = wrong || times != 0;
        out.add({.name = std::string(broken_names[i]), .value = count(times), .unit = "times", .bar = 0});
    }
    out.add({.name = "hangs", .value = 0, .unit = "threads", .bar = 0});
    for (const case_result& one : cases) {
        wrong = wrong || one.broken != 0;
        if (!one.example.empty())
            std::cerr << one.name << ": " << one.example << '\n';
        out.add({.name = one.name + ", of " + std::to_string(one.tries),
                 .value = count(one.broken),
                 .unit = one.unit,
                 .bar = 0});
    }
    out.print();
    out.write();
    if (how.unsettled)
        return found.count(broken::innocent_ended) > 0 ? 0 : 1;
    return wrong ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) try {
    settings how;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const bool more = i + 1 < argc;
        if (argument == "--transactions" && more)
            how.transactions = std::max(1LL, std::atoll(argv[++i]));
        else if (argument == "--threads" && more)
            how.threads = std::clamp(std::atoi(argv[++i]), 1, 1000);
        else if (argument == "--seed" && more)
            how.seed = std::strtoull(argv[++i], nullptr, 10);
        else if (argument == "--cases" && more)
            how.cases = std::max(0, std::atoi(argv[++i]));
        else if (argument == "--trace" && more)
            how.traced = std::atoll(argv[++i]);
        else if (argument == "--unsettled")
            how.unsettled = true;
        else {
            std::cerr << "usage: session_torture [--transactions N] [--threads N] [--seed N] [--cases N]"
                         " [--trace TRANSACTION] [--unsettled]\n";
            return 2;
        }
    }
    return run(how);
} catch (const std::exception& wrong) {
    std::cerr << wrong.what() << '\n';
    return 1;
}
