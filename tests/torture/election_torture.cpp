// Elections under everything at once: ./dev torture election [--handovers N] [--minutes N] [--unfenced] [--strict]
//
// Three candidate processes write fenced increments and a log of them, one after another, while a nemesis stops, kills,
// cuts off, silences and terminates whoever leads, restarts the server, and promotes standbys, some of which missed the
// last term. Afterwards the log is read: numbers without a gap, terms that never go back, one candidate for each term.
// From what the candidates said themselves: were there ever two that held by their own clocks? Exits 1 when a stale
// write was accepted. With --unfenced the candidates only look at `held()` before they write, it ends with the first
// stale write, and exits 1 when there was NONE: the checker can fail.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>
#include <tenon/testing/gate.hpp>

#include "benchmarks/support/candidate_process.hpp"
#include "benchmarks/support/election_lab.hpp"
#include "benchmarks/support/report.hpp"
#include "tests/postgres/testing/ask.hpp"

namespace {

using namespace std::chrono_literals;
using bench::election_lab;
using bench::seen_term;
using clock_type = tenon::boot_clock;
using tenon::testing::cluster;
using tenon::testing::direction;
using tenon::testing::gate;

constexpr int lease_ms = 1000;
constexpr int poll_ms = 50;
constexpr std::size_t candidates = 3;
constexpr const char* election = "torture";

struct settings {
    int handovers = 1000;
    std::optional<std::chrono::minutes> length{};
    bool unfenced = false;
    bool strict = false;
};

enum class fault { resign, kill, terminate, cut, stop, silence, half_open, restart, promote };
constexpr std::array names{"resign",  "kill -9",   "pg_terminate_backend", "connection reset", "SIGSTOP",
                           "silence", "half-open", "crash restart",        "promotion"};

/// What a hand-over may take: poll, grace and a lease where the server must notice by itself, and a margin for a
/// machine that does other things.
std::chrono::milliseconds bound_of(fault what) {
    switch (what) {
    case fault::resign:
        return 100ms;
    case fault::kill:
    case fault::terminate:
    case fault::cut:
        return std::chrono::milliseconds(poll_ms + 150);
    case fault::stop:
    case fault::silence:
    case fault::half_open:
        return std::chrono::milliseconds(lease_ms + poll_ms + 150);
    case fault::restart:
    case fault::promote:
        return 1000ms; // from when writes are taken
    }
    return {};
}

std::string hosts_through(const gate& first, const gate& second) {
    return "host=127.0.0.1,127.0.0.1 port=" + std::to_string(first.port()) + "," + std::to_string(second.port()) +
           " user=postgres dbname=postgres sslmode=disable gssencmode=disable";
}

/// A primary, its standby, and for each candidate a gate in front of either.
class arena {
public:
    arena() : primary_(std::make_unique<cluster>()) {
        bench::create_election_tables(primary_->url());
        connection().transact(
            [](tenon::transaction& tx) { tx.execute("insert into election_counter values ('torture', 0)"); });
        pair_up();
    }

    [[nodiscard]] tenon::connection connection() const { return tenon::connection{primary_->url()}; }
    [[nodiscard]] std::vector<std::string> urls() const {
        std::vector<std::string> all;
        for (std::size_t i = 0; i < candidates; ++i)
            all.push_back(hosts_through(*to_primary_[i], *to_standby_[i]));
        return all;
    }
    [[nodiscard]] gate& gate_of(std::size_t candidate) { return *to_primary_[candidate]; }

    /// Returns when it accepted sessions again.
    clock_type::time_point crash_and_restart() {
        primary_->crash();
        primary_->start();
        return clock_type::now();
    }

    /// The standby stops to listen: it will miss what comes.
    void deafen_standby() {
        tenon::tests::ask(standby_->url(), "alter system set primary_conninfo = ''");
        tenon::tests::ask(standby_->url(), "select pg_reload_conf()");
        tenon::connection replica{standby_->url()};
        while (replica.transact(
                   [](tenon::transaction& tx) { return tx.execute("select from pg_stat_wal_receiver"); }) != 0)
            std::this_thread::sleep_for(1ms);
    }
    void catch_up() { standby_->catch_up_with(*primary_); }

    /// Returns when the standby took writes.
    clock_type::time_point promote() {
        primary_->crash();
        clock_type::time_point writable{};
        std::jthread watcher([&](const std::stop_token& stop) {
            while (!stop.stop_requested())
                try {
                    tenon::connection probe{standby_->url()};
                    probe.transact([](tenon::transaction& tx) { tx.execute("create temporary table probe (n int)"); });
                    writable = clock_type::now();
                    return;
                } catch (const tenon::error&) {
                    std::this_thread::sleep_for(1ms);
                }
        });
        standby_->promote();
        watcher.join();
        return writable;
    }
    /// The former standby is the primary, and gets a standby.
    void move_on() {
        primary_ = std::move(standby_);
        pair_up();
    }

private:
    void pair_up() {
        standby_ = std::make_unique<cluster>(primary_->standby());
        to_primary_.clear();
        to_standby_.clear();
        for (std::size_t i = 0; i < candidates; ++i) {
            to_primary_.push_back(std::make_unique<gate>(primary_->url()));
            to_standby_.push_back(std::make_unique<gate>(standby_->url()));
        }
    }

    std::unique_ptr<cluster> primary_;
    std::unique_ptr<cluster> standby_;
    std::vector<std::unique_ptr<gate>> to_primary_;
    std::vector<std::unique_ptr<gate>> to_standby_;
};

struct tally {
    int handovers = 0;
    std::map<fault, std::vector<double>> took; ///< ms
    int late = 0;
    std::map<fault, int> count;
    std::vector<std::pair<fault, clock_type::time_point>> at; ///< when each was done
};

class nemesis {
public:
    nemesis(arena& where, election_lab& lab, tally& result, bool unfenced)
        : arena_(where), lab_(lab), tally_(result), unfenced_(unfenced) {}

    void strike() {
        const seen_term before = lab_.leader();
        wait_for_a_write();
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 30'000)); // in the middle of whatever it does
        const fault what = choose();
        const std::size_t leader = before.candidate;
        auto at = clock_type::now();
        tally_.at.emplace_back(what, at);
        switch (what) {
        case fault::resign:
            lab_.candidate(leader).say("resign");
            break;
        case fault::kill:
            (void)lab_.kill(leader);
            break;
        case fault::terminate:
            arena_.connection().transact([](tenon::transaction& tx) {
                tx.execute("select pg_terminate_backend(backend_pid) from tenon.election_term");
            });
            break;
        case fault::cut:
            arena_.gate_of(leader).cut();
            break;
        case fault::stop:
            lab_.candidate(leader).signal(SIGSTOP);
            break;
        case fault::silence:
            arena_.gate_of(leader).black_hole();
            break;
        case fault::half_open:
            arena_.gate_of(leader).black_hole(random_() % 2 == 0 ? direction::to_server : direction::to_client);
            break;
        case fault::restart: {
            const auto since = at;
            at = arena_.crash_and_restart();
            note(what, since, at);
            return;
        }
        case fault::promote:
            promote(before);
            return;
        }
        note(what, at, at);
        if (what == fault::kill)
            lab_.start(leader);
        if (what == fault::stop) {
            // Of its successor's: then the sleeper wakes. Without a fence it may hold the row that both write to.
            if (unfenced_)
                (void)has_written(500ms);
            else
                wait_for_a_write();
            lab_.candidate(leader).signal(SIGCONT);
        }
        if (what == fault::silence || what == fault::half_open)
            arena_.gate_of(leader).open();
    }

private:
    fault choose() {
        if (unfenced_)
            return fault::stop;   // in the middle of a transaction: what no look at a clock can help
        if (next_ < names.size()) // each once, then at random
            return static_cast<fault>(next_++);
        static constexpr std::array<int, names.size()> weights{20, 20, 15, 10, 12, 6, 8, 4, 2};
        std::discrete_distribution<int> pick(weights.begin(), weights.end());
        return static_cast<fault>(pick(random_));
    }

    // The next term began after the fault; the hand-over is counted from when somebody could take over.
    void note(fault what, clock_type::time_point since, clock_type::time_point from) {
        const seen_term after = lab_.next_term(since);
        const double ms = std::chrono::duration<double, std::milli>(after.elected - from).count();
        tally_.took[what].push_back(ms);
        if (ms > static_cast<double>(bound_of(what).count())) {
            ++tally_.late;
            std::cerr << names[static_cast<std::size_t>(what)] << ": " << ms << " ms\n";
        }
        ++tally_.handovers;
        ++tally_.count[what];
    }

    void promote(const seen_term& before) {
        arena_.catch_up();
        arena_.deafen_standby();
        const auto missed = clock_type::now();
        lab_.candidate(before.candidate).say("resign"); // a term that the standby will know nothing of
        (void)lab_.next_term(missed);
        wait_for_a_write();
        const auto since = clock_type::now();
        const auto writable = arena_.promote();
        note(fault::promote, since, writable);
        wait_for_a_write();
        arena_.move_on();
        lab_.restart(arena_.urls());
    }

    // One that was begun after now, by whoever leads.
    bool has_written(std::chrono::milliseconds patience) {
        const auto until = std::chrono::steady_clock::now() + patience;
        std::optional<std::int64_t> first;
        while (std::chrono::steady_clock::now() < until) {
            try {
                tenon::connection db = current();
                static constexpr tenon::query<std::int64_t> counted{"select n from election_counter"};
                for (;;) {
                    const std::int64_t now = db.transact([](tenon::transaction& tx) { return counted.one(tx); });
                    if (now > first.value_or(now) + 1)
                        return true;
                    first = std::min(first.value_or(now), now);
                    if (std::chrono::steady_clock::now() > until)
                        break;
                    std::this_thread::sleep_for(1ms);
                }
            } catch (const tenon::error&) {
                std::this_thread::sleep_for(5ms);
            }
        }
        return false;
    }
    void wait_for_a_write() {
        if (!has_written(60s))
            throw std::runtime_error("nobody writes any more");
    }
    // The primary of the two, whichever that is.
    [[nodiscard]] tenon::connection current() {
        tenon::pool db{arena_.urls().front(), {.max_size = 1}};
        return db.acquire();
    }

    arena& arena_;
    election_lab& lab_;
    tally& tally_;
    bool unfenced_;
    std::size_t next_ = 0;
    std::minstd_rand random_{std::random_device{}()};
};

struct verdict {
    std::int64_t writes = 0;
    std::int64_t terms = 0;
    std::int64_t stale = 0;     ///< writes of a term after one of a later term
    std::int64_t gaps = 0;      ///< numbers that are missing, or there without the counter
    std::int64_t impostors = 0; ///< terms that two candidates wrote in
};

bool stale_write_seen(const arena& where) {
    static constexpr tenon::query<bool> seen{
        "select exists (select from (select term, max(term) over (order by n) as highest from election_log) as log"
        " where term < highest)"}; // one timeline: nobody is promoted
    return where.connection().transact([](tenon::transaction& tx) { return seen.one(tx); });
}

verdict read_log(const arena& where) {
    verdict found;
    tenon::connection db = where.connection();
    static constexpr tenon::query<std::tuple<std::int64_t, int, std::int64_t, std::string>> rows{
        "select n, timeline, term, candidate from election_log order by n"};
    static constexpr tenon::query<std::int64_t> counter{"select n from election_counter"};
    std::pair<int, std::int64_t> last{0, 0};
    std::map<std::pair<int, std::int64_t>, std::string> writers;
    std::int64_t expected = 0;
    db.transact([&](tenon::transaction& tx) {
        for (const auto& [n, timeline, term, candidate] : rows.all(tx)) {
            found.gaps += n == ++expected ? 0 : 1;
            expected = n;
            const std::pair now{timeline, term};
            if (now < last) {
                ++found.stale;
                std::cerr << "write " << n << " of term " << term << " on timeline " << timeline << " by " << candidate
                          << " came after term " << last.second << " on timeline " << last.first << '\n';
            }
            last = std::max(last, now);
            if (writers.emplace(now, candidate).first->second != candidate)
                ++found.impostors;
            ++found.writes;
        }
        found.gaps += counter.one(tx) == expected ? 0 : 1;
    });
    found.terms = static_cast<std::int64_t>(writers.size());
    return found;
}

/// Pairs of terms of different candidates that were held at once, by their own clocks, and for how long at most.
struct overlap {
    int faults = 0; ///< that were followed by one
    double longest_ms = 0;
};

std::map<fault, overlap> overlaps(std::vector<seen_term> terms, const tally& done) {
    std::map<fault, overlap> found;
    std::ranges::sort(terms, {}, &seen_term::elected);
    for (std::size_t i = 1; i < terms.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (terms[j].candidate != terms[i].candidate && terms[j].held_until() > terms[i].elected) {
                const auto strike = std::ranges::find_if(done.at.rbegin(), done.at.rend(), [&](const auto& each) {
                    return each.second <= terms[i].elected;
                });
                overlap& of = found[strike != done.at.rend() ? strike->first : fault::resign];
                ++of.faults;
                of.longest_ms = std::max(
                    of.longest_ms,
                    std::chrono::duration<double, std::milli>(terms[j].held_until() - terms[i].elected).count());
            }
    return found;
}

int run(const settings& how) {
    arena where;
    tally done;
    const auto until = how.length ? std::optional(std::chrono::steady_clock::now() + *how.length) : std::nullopt;
    std::map<fault, overlap> doubled;
    std::int64_t disordered = 0;
    {
        election_lab lab(
            {.election = election, .lease_ms = lease_ms, .poll_ms = poll_ms, .writes = true, .fenced = !how.unfenced},
            where.urls());
        nemesis enemy(where, lab, done, how.unfenced);
        while (until ? std::chrono::steady_clock::now() < *until : done.handovers < how.handovers) {
            enemy.strike();
            if (how.unfenced && stale_write_seen(where))
                break;
        }
        auto terms = lab.terms();
        doubled = overlaps(terms, done);
        std::ranges::sort(terms, {}, &seen_term::elected);
        for (std::size_t i = 1; i < terms.size(); ++i) // each is greater than the one before
            disordered +=
                std::tuple(terms[i - 1].timeline, terms[i - 1].term) < std::tuple(terms[i].timeline, terms[i].term) ? 0
                                                                                                                    : 1;
    }
    const verdict log = read_log(where);

    bench::report out(how.unfenced ? "election_torture_unfenced" : "election_torture");
    const auto count = [](auto number) { return static_cast<double>(number); };
    out.add({.name = "hand-overs", .value = count(done.handovers), .unit = "times"});
    out.add({.name = "writes", .value = count(log.writes), .unit = "rows"});
    out.add({.name = "terms that wrote", .value = count(log.terms), .unit = "terms"});
    out.add({.name = "stale writes accepted", .value = count(log.stale), .unit = "rows", .bar = 0});
    out.add({.name = "numbers lost or doubled", .value = count(log.gaps), .unit = "rows", .bar = 0});
    out.add({.name = "terms that two candidates wrote in", .value = count(log.impostors), .unit = "terms", .bar = 0});
    out.add({.name = "terms not after the one before", .value = count(disordered), .unit = "terms", .bar = 0});
    for (const auto& [what, took] : done.took) {
        std::vector<double> sorted = took;
        std::ranges::sort(sorted);
        const std::string label =
            std::string(names[static_cast<std::size_t>(what)]) + ", " + std::to_string(took.size()) + " times: ";
        out.add({.name = label + "p50", .value = sorted[sorted.size() / 2], .unit = "ms"});
        out.add({.name = label + "max", .value = sorted.back(), .unit = "ms", .bar = count(bound_of(what).count())});
    }
    int pairs = 0;
    for (const auto& [what, of] : doubled) {
        pairs += of.faults;
        out.add({.name = std::string("held by two at once, after ") + names[static_cast<std::size_t>(what)] + ", " +
                         std::to_string(of.faults) + " times, at most",
                 .value = of.longest_ms,
                 .unit = "ms"});
    }
    out.add({.name = "held by two at once, by their own clocks", .value = count(pairs), .unit = "times", .bar = 0});
    out.print();
    out.write();
    if (how.unfenced)
        return log.stale > 0 ? 0 : 1;
    const bool wrong = log.stale + log.gaps + log.impostors + disordered != 0;
    return wrong || (how.strict && (done.late != 0 || pairs != 0)) ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) try {
    if (bench::run_candidate(argc, argv))
        return 0;
    settings how;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const bool more = i + 1 < argc;
        if (argument == "--handovers" && more)
            how.handovers = std::max(1, std::atoi(argv[++i]));
        else if (argument == "--minutes" && more)
            how.length = std::chrono::minutes(std::max(1, std::atoi(argv[++i])));
        else if (argument == "--unfenced")
            how.unfenced = true;
        else if (argument == "--strict")
            how.strict = true;
        else {
            std::cerr << "usage: election_torture [--handovers N] [--minutes N] [--unfenced] [--strict]\n";
            return 2;
        }
    }
    return run(how);
} catch (const std::exception& wrong) {
    std::cerr << wrong.what() << '\n';
    return 1;
}
