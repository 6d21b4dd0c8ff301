// How long an election goes without a leader, by what happened to the one it had; and what the fence costs.
//
// Candidates are processes, and the faults are real: signals, a server that crashes, a network that falls silent, a
// standby that missed the last term and is promoted. Lease 2 s, poll 100 ms; each fault at least 100 times, several
// elections at once. Makes its own servers.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>
#include <tenon/testing/gate.hpp>

#include "support/candidate_process.hpp"
#include "support/election_lab.hpp"
#include "support/report.hpp"
#include "tests/postgres/testing/ask.hpp"

namespace {

using namespace std::chrono_literals;
using bench::election_lab;
using bench::seen_term;
using clock_type = tenon::boot_clock;
using tenon::testing::cluster;
using tenon::testing::gate;

constexpr int lease_ms = 2000;
constexpr int poll_ms = 100;

struct settings {
    int runs = 100;
    int lanes = 10; ///< elections at once
    std::string only{};
};

double in_ms(clock_type::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

class samples {
public:
    void add(double ms) {
        const std::lock_guard lock(mutex_);
        all_.push_back(ms);
    }
    void report_to(bench::report& out, const std::string& fault, double bar) {
        std::ranges::sort(all_);
        const auto at = [&](double share) {
            return all_.empty() ? 0.0 : all_[static_cast<std::size_t>(share * static_cast<double>(all_.size() - 1))];
        };
        const std::string label = fault + " (" + std::to_string(all_.size()) + " runs): ";
        out.add({.name = label + "p50", .value = at(0.5), .unit = "ms"});
        out.add({.name = label + "p95", .value = at(0.95), .unit = "ms"});
        out.add({.name = label + "max", .value = at(1), .unit = "ms", .bar = bar});
    }

private:
    std::mutex mutex_;
    std::vector<double> all_;
};

/// One election with two candidates, each behind a gate of its own.
struct lane {
    explicit lane(const std::string& url, const std::string& name) : gates(2), election(name), admin(url) {
        std::vector<std::string> urls;
        for (auto& each : gates) {
            each = std::make_unique<gate>(url);
            urls.push_back(each->url());
        }
        lab = std::make_unique<election_lab>(
            bench::election_faults_options{.election = name, .lease_ms = lease_ms, .poll_ms = poll_ms}, urls);
    }

    std::vector<std::unique_ptr<gate>> gates;
    std::string election;
    tenon::connection admin;
    std::unique_ptr<election_lab> lab;
    std::minstd_rand random{std::random_device{}()};
};

struct fault {
    std::string name;
    double bar; ///< ms
    std::function<void(lane&, std::size_t)> inject;
    std::function<void(lane&, std::size_t)> undo;
};

void end_session(lane& in, std::size_t /*leader*/) {
    in.admin.transact([&](tenon::transaction& tx) {
        tx.execute("select pg_terminate_backend(backend_pid) from tenon.election_term where name = $1", in.election);
    });
}

std::vector<fault> faults() {
    constexpr double poll_bar = poll_ms + 100;
    constexpr double lease_bar = lease_ms + poll_ms + 100;
    const auto nothing = [](lane&, std::size_t) {};
    const auto silence = [](tenon::testing::direction way) {
        return [way](lane& in, std::size_t leader) { in.gates[leader]->black_hole(way); };
    };
    const auto open = [](lane& in, std::size_t leader) { in.gates[leader]->open(); };
    return {
        {"resign", 100, [](lane& in, std::size_t leader) { in.lab->candidate(leader).say("resign"); }, nothing},
        {"kill -9", poll_bar, [](lane& in, std::size_t leader) { in.lab->candidate(leader).signal(SIGKILL); },
         [](lane& in, std::size_t leader) {
             (void)in.lab->kill(leader);
             in.lab->start(leader);
         }},
        {"pg_terminate_backend", poll_bar, end_session, nothing},
        {"connection reset", poll_bar, [](lane& in, std::size_t leader) { in.gates[leader]->cut(); }, nothing},
        {"SIGSTOP, then SIGCONT", lease_bar,
         [](lane& in, std::size_t leader) { in.lab->candidate(leader).signal(SIGSTOP); },
         [](lane& in, std::size_t leader) { in.lab->candidate(leader).signal(SIGCONT); }},
        {"half-open: nothing reaches the server", lease_bar, silence(tenon::testing::direction::to_server), open},
        {"half-open: nothing reaches the leader", lease_bar, silence(tenon::testing::direction::to_client), open},
        {"partition: silence both ways", lease_bar, silence(tenon::testing::direction::both), open},
    };
}

void hand_over(lane& in, const fault& what, int runs, samples& taken) {
    for (int i = 0; i < runs; ++i) {
        const seen_term before = in.lab->leader();
        // Anywhere between two heartbeats, and with the other candidate in place.
        std::this_thread::sleep_for(std::chrono::milliseconds(150 + in.random() % (lease_ms / 4)));
        const auto at = clock_type::now();
        what.inject(in, before.candidate);
        const seen_term after = in.lab->next_term(at);
        taken.add(in_ms(after.elected - at));
        what.undo(in, before.candidate);
    }
}

template <class Action>
void in_lanes(int lanes, Action action) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < lanes; ++i)
        threads.emplace_back([&action, i] {
            try {
                action(i);
            } catch (const std::exception& wrong) {
                std::cerr << wrong.what() << '\n';
                std::exit(1);
            }
        });
}

void measure_faults(bench::report& out, const settings& how) {
    const cluster server;
    bench::create_election_tables(server.url());
    int series = 0;
    for (const fault& what : faults()) {
        if (!how.only.empty() && what.name.find(how.only) == std::string::npos)
            continue;
        samples taken;
        in_lanes(how.lanes, [&](int i) {
            lane one(server.url(), "lane " + std::to_string(i) + " of " + std::to_string(series));
            hand_over(one, what, (how.runs + how.lanes - 1) / how.lanes, taken);
        });
        ++series;
        taken.report_to(out, what.name, what.bar);
    }
}

/// A network of its own for a candidate: two ends of a virtual cable, one of them in a namespace.
class cable {
public:
    explicit cable(int number)
        : name_("tn" + std::to_string(::getpid() % 10'000) + "_" + std::to_string(number)),
          net_("10.213." + std::to_string(number) + ".") {
        works_ = run("ip netns add " + name_) && run("ip link add " + name_ + "a type veth peer name " + name_ + "b") &&
                 run("ip link set " + name_ + "b netns " + name_) &&
                 run("ip addr add " + host() + "/30 dev " + name_ + "a") && run("ip link set " + name_ + "a up") &&
                 run("ip -n " + name_ + " addr add " + net_ + "2/30 dev " + name_ + "b") &&
                 run("ip -n " + name_ + " link set " + name_ + "b up");
    }
    cable(const cable&) = delete;
    cable& operator=(const cable&) = delete;
    ~cable() {
        (void)run("ip link del " + name_ + "a");
        (void)run("ip netns del " + name_);
    }
    [[nodiscard]] bool works() const { return works_; }
    [[nodiscard]] const std::string& space() const { return name_; }
    [[nodiscard]] std::string host() const { return net_ + "1"; }
    void pull() const { (void)run("ip link set " + name_ + "a down"); }
    void plug() const { (void)run("ip link set " + name_ + "a up"); }

private:
    static bool run(const std::string& command) { return std::system((command + " 2>/dev/null").c_str()) == 0; }

    std::string name_;
    std::string net_;
    bool works_ = false;
};

// The candidate in the namespace leads, its cable is pulled, and the one outside takes over; then it gets the lead
// back.
void measure_cables(bench::report& out, const settings& how) {
    const std::string name = "cable pulled (network namespace)";
    constexpr double bar = lease_ms + poll_ms + 100;
    if (::getuid() != 0 || !cable(99).works()) {
        out.add({.name = name + ": needs root and ip netns", .value = {}, .unit = "ms", .bar = bar});
        return;
    }
    cluster server{{.settings = {{"listen_addresses", "*"}}, .listen_tcp = true}};
    {
        std::ofstream hba(server.data_directory() / "pg_hba.conf", std::ios::app);
        hba << "host all all 10.213.0.0/16 scram-sha-256\n";
    }
    server.restart();
    bench::create_election_tables(server.url());
    samples taken;
    in_lanes(how.lanes, [&](int i) {
        const cable wire(i);
        if (!wire.works())
            throw std::runtime_error("no network namespace could be made");
        std::string url = server.tcp_url();
        const std::string local = "127.0.0.1";
        url.replace(url.find(local), local.size(), wire.host());
        const std::string election = "cable " + std::to_string(i);
        election_lab lab(
            {.election = election, .lease_ms = lease_ms, .poll_ms = poll_ms, .network_namespace = wire.space()},
            {url, server.url()});
        tenon::connection admin{server.url()};
        std::minstd_rand random(static_cast<unsigned>(i + 1));
        for (int run = 0; run < (how.runs + how.lanes - 1) / how.lanes;) {
            const seen_term before = lab.leader();
            if (before.candidate != 0) {
                const auto since = clock_type::now();
                const bool there =
                    admin.transact([&](tenon::transaction& tx) { return tenon::prefer(tx, election, "0", 10s); });
                if (there)
                    (void)lab.next_term(since);
                else
                    std::this_thread::sleep_for(5ms);
                continue;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(150 + random() % (lease_ms / 4)));
            const auto at = clock_type::now();
            wire.pull();
            taken.add(in_ms(lab.next_term(at).elected - at));
            wire.plug();
            ++run;
        }
    });
    taken.report_to(out, name, bar);
}

/// When `works` was true first, asked again and again from now on.
class watcher {
public:
    explicit watcher(std::function<void()> works)
        : thread_([this, works = std::move(works)](const std::stop_token& stop) {
              while (!stop.stop_requested())
                  try {
                      works();
                      since_ = clock_type::now();
                      return;
                  } catch (const std::exception&) {
                      std::this_thread::sleep_for(1ms);
                  }
          }) {}
    clock_type::time_point since() {
        thread_.join();
        return since_;
    }

private:
    clock_type::time_point since_{};
    std::jthread thread_;
};

std::vector<std::unique_ptr<election_lab>> several(const std::string& url, int lanes) {
    std::vector<std::unique_ptr<election_lab>> labs;
    for (int i = 0; i < lanes; ++i)
        labs.push_back(std::make_unique<election_lab>(
            bench::election_faults_options{
                .election = "lane " + std::to_string(i), .lease_ms = lease_ms, .poll_ms = poll_ms},
            std::vector<std::string>{url, url}));
    for (auto& each : labs)
        (void)each->leader();
    return labs;
}

void measure_restarts(bench::report& out, const settings& how) {
    cluster server;
    bench::create_election_tables(server.url());
    samples taken;
    const auto labs = several(server.url(), how.lanes);
    for (int done = 0; done < how.runs; done += how.lanes) {
        for (const auto& each : labs)
            (void)each->leader();
        std::this_thread::sleep_for(300ms);
        const auto at = clock_type::now();
        server.crash();
        watcher accepts([&] { tenon::connection probe{server.url()}; });
        server.start();
        const auto accepting = accepts.since();
        for (const auto& each : labs)
            taken.add(in_ms(each->next_term(at).elected - accepting));
    }
    taken.report_to(out, "crash restart, after the server accepts", 1000);
}

std::string hosts(const cluster& first, const cluster& second) {
    return "host=" + first.socket_directory().string() + "," + second.socket_directory().string() +
           " port=" + std::to_string(first.port()) + "," + std::to_string(second.port()) +
           " user=postgres dbname=postgres";
}

void measure_promotions(bench::report& out, const settings& how) {
    samples taken;
    std::int64_t repeated = 0; // terms whose number had been there before, on the lost history
    for (int done = 0; done < how.runs; done += how.lanes) {
        cluster primary;
        bench::create_election_tables(primary.url());
        cluster standby = primary.standby();
        const auto labs = several(hosts(primary, standby), how.lanes);
        standby.catch_up_with(primary);
        // The standby hears no more, and misses a term of each election.
        tenon::tests::ask(standby.url(), "alter system set primary_conninfo = ''");
        tenon::tests::ask(standby.url(), "select pg_reload_conf()");
        tenon::connection replica{standby.url()};
        while (replica.transact(
                   [](tenon::transaction& tx) { return tx.execute("select from pg_stat_wal_receiver"); }) != 0)
            std::this_thread::sleep_for(1ms);
        std::vector<seen_term> missed;
        for (const auto& each : labs) {
            const seen_term before = each->leader();
            const auto at = clock_type::now();
            each->candidate(before.candidate).say("resign");
            missed.push_back(each->next_term(at));
        }
        const auto at = clock_type::now();
        primary.crash();
        watcher writes([&] {
            tenon::connection probe{standby.url()};
            probe.transact([](tenon::transaction& tx) { tx.execute("create temporary table probe (n int)"); });
        });
        standby.promote();
        const auto writable = writes.since();
        for (std::size_t i = 0; i < labs.size(); ++i) {
            const seen_term after = labs[i]->next_term(at);
            taken.add(in_ms(after.elected - writable));
            if (after.timeline <= missed[i].timeline)
                throw std::runtime_error("a term after the promotion does not come after those before it");
            repeated += after.term <= missed[i].term ? 1 : 0;
        }
    }
    taken.report_to(out, "promotion of a standby that missed the last term, after it takes writes", 1000);
    out.add({.name = "terms whose number was there before on the lost history, told apart by timeline",
             .value = static_cast<double>(repeated),
             .unit = "terms"});
}

// The old primary falls silent instead of breaking: no reset, no end of stream. A lease later its standby is promoted.
void measure_silent_primaries(bench::report& out, const settings& how) {
    samples taken;
    for (int done = 0; done < how.runs; done += how.lanes) {
        cluster primary;
        bench::create_election_tables(primary.url());
        cluster standby = primary.standby();
        gate to_primary(primary.url());
        const gate to_standby(standby.url());
        const auto labs = several("host=127.0.0.1,127.0.0.1 port=" + std::to_string(to_primary.port()) + "," +
                                      std::to_string(to_standby.port()) +
                                      " user=postgres dbname=postgres sslmode=disable gssencmode=disable",
                                  how.lanes);
        standby.catch_up_with(primary);
        to_primary.black_hole();
        std::this_thread::sleep_for(std::chrono::milliseconds(lease_ms));
        const auto at = clock_type::now();
        primary.crash();
        watcher writes([&] {
            tenon::connection probe{standby.url()};
            probe.transact([](tenon::transaction& tx) { tx.execute("create temporary table probe (n int)"); });
        });
        standby.promote();
        const auto writable = writes.since();
        for (const auto& each : labs)
            taken.add(in_ms(each->next_term(at).elected - writable));
    }
    taken.report_to(out, "promotion after the old primary fell silent, after it takes writes", 1000);
}

void measure_cost(bench::report& out) {
    const cluster server{{.settings = {{"fsync", "on"}, {"full_page_writes", "on"}}}}; // commits as in production
    bench::create_election_tables(server.url());
    tenon::pool db{server.url(), {.max_size = 16}};
    db.transact([](tenon::transaction& tx) {
        tx.execute("create table work (id int primary key, n bigint not null);"
                   "insert into work select i, 0 from generate_series(1, 16) i");
    });
    tenon::election election{db, "cost", {.lease = 10s}};
    const auto leadership = election.campaign({});
    static constexpr tenon::query<void, int> write{"update work set n = n + 1 where id = $1"};
    const auto rate = [&](int clients, bool fenced, std::chrono::milliseconds length) {
        std::atomic<std::int64_t> done{0};
        std::barrier start(clients + 1);
        std::vector<std::jthread> threads;
        const auto until = std::chrono::steady_clock::now() + length;
        for (int i = 1; i <= clients; ++i)
            threads.emplace_back([&, i] {
                start.arrive_and_wait();
                while (std::chrono::steady_clock::now() < until) {
                    const auto work = [i](tenon::transaction& tx) { write.run(tx, i); };
                    if (fenced)
                        leadership->transact(work);
                    else
                        db.transact(work);
                    ++done;
                }
            });
        start.arrive_and_wait();
        threads.clear();
        return static_cast<double>(done) / std::chrono::duration<double>(length).count();
    };
    for (const int clients : {1, 8, 16}) {
        std::vector<double> ratios;
        double unfenced = 0;
        (void)rate(clients, true, 200ms);
        for (int pair = 0; pair < 7; ++pair) { // side by side, as the machine's pace changes
            unfenced = rate(clients, false, 500ms);
            ratios.push_back(unfenced / rate(clients, true, 500ms));
        }
        std::ranges::sort(ratios);
        const std::string label = "fenced transaction, " + std::to_string(clients) + " client(s): ";
        out.add({.name = label + "time of an unfenced one", .value = ratios[ratios.size() / 2], .unit = "ratio"});
        out.add({.name = label + "unfenced", .value = unfenced, .unit = "transactions/s"});
    }
}

} // namespace

int main(int argc, char** argv) try {
    if (bench::run_candidate(argc, argv))
        return 0;
    settings how;
    if (argc > 1)
        how.runs = std::max(1, std::atoi(argv[1]));
    if (argc > 2)
        how.only = argv[2];
    bench::report out("election");
    const auto wanted = [&](const char* part) { return how.only.empty() || how.only == part; };
    measure_faults(out, how);
    if (wanted("cables"))
        measure_cables(out, how);
    if (wanted("restarts"))
        measure_restarts(out, how);
    if (wanted("promotions"))
        measure_promotions(out, how);
    if (wanted("silent"))
        measure_silent_primaries(out, how);
    if (wanted("cost"))
        measure_cost(out);
    out.print();
    out.write();
} catch (const std::exception& wrong) {
    std::cerr << wrong.what() << '\n';
    return 1;
}
