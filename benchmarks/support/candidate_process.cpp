#include "candidate_process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <mutex>
#include <optional>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

#include <tenon/tenon.hpp>

namespace bench {

namespace {

using namespace std::chrono_literals;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

// One write for each line, so that lines of several threads do not mix.
void tell(const std::string& line) {
    const std::string whole = line + "\n";
    (void)!::write(STDOUT_FILENO, whole.data(), whole.size());
}

std::string nanoseconds(tenon::boot_clock::time_point at) {
    return std::to_string(at.time_since_epoch().count());
}

class teller final : public tenon::observer {
public:
    void elected(const tenon::elected_event& event) noexcept override {
        tell("elected " + nanoseconds(tenon::boot_clock::now()) + " " + std::to_string(event.timeline) + " " +
             std::to_string(event.term));
    }
};

// The fence is all that keeps a write apart from a successor's: the pauses leave room for one.
void increment(tenon::transaction& tx, const candidate_arguments& how, const tenon::fencing_token& token,
               std::minstd_rand& random) {
    static constexpr tenon::query<std::int64_t, std::string> next{
        "update election_counter set n = n + 1 where election = $1 returning n"};
    static constexpr tenon::query<void, std::string, std::int64_t, int, std::int64_t, tenon::uuid, std::string> log{
        "insert into election_log (election, n, timeline, term, id, candidate) values ($1, $2, $3, $4, $5, $6)"};
    static constexpr tenon::query<int> hello{"select 1"};
    const auto pause = [&] { std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000)); };
    (void)hello.one(tx); // the fence's
    pause();
    const std::int64_t n = next.one(tx, how.election);
    pause();
    log.run(tx, how.election, n, token.timeline, token.term, token.id, how.candidate);
}

void lead(tenon::pool& db, const tenon::leadership& leadership, const candidate_arguments& how) {
    std::minstd_rand random{std::random_device{}()};
    auto trusted = leadership.deadline();
    const auto tell_deadline = [&] {
        if (const auto now = leadership.deadline(); now != std::exchange(trusted, now))
            tell("deadline " + std::to_string(leadership.token().term) + " " + nanoseconds(now));
    };
    tell("deadline " + std::to_string(leadership.token().term) + " " + nanoseconds(trusted));
    // As soon as `held` is false, not when the lock is given back.
    const std::stop_callback lost(leadership.stop_token(), [&leadership] {
        tell("lost " + nanoseconds(tenon::boot_clock::now()) + " " + std::to_string(leadership.token().term));
    });
    while (leadership.held()) {
        tell_deadline();
        if (!how.writes) {
            std::this_thread::sleep_for(1ms);
            continue;
        }
        try {
            const auto write = [&](tenon::transaction& tx) { increment(tx, how, leadership.token(), random); };
            // At any isolation level: it is run again where the server asks for it.
            const auto level = static_cast<tenon::isolation>(random() % 3);
            if (how.fenced)
                leadership.transact({.level = level}, write);
            else
                db.transact(write);
        } catch (const tenon::error&) { // fenced out, or cut off: `held` will tell
        }
    }
}

int campaign(const candidate_arguments& how) {
    const auto observer = std::make_shared<teller>();
    tenon::pool db{
        how.url,
        {.max_size = 2, .acquire_timeout = 500ms, .connection = {.connect_timeout = 1s, .observer = observer}}};
    tenon::election election{db,
                             how.election,
                             {.candidate = how.candidate,
                              .lease = std::chrono::milliseconds(how.lease_ms),
                              .poll = std::chrono::milliseconds(how.poll_ms)}};
    std::mutex mutex;
    const tenon::leadership* leading = nullptr;
    std::thread([&] { // ends with the process
        for (std::string line; std::getline(std::cin, line);) {
            const std::lock_guard lock(mutex);
            if (line == "resign" && leading != nullptr)
                leading->resign();
        }
        ::_exit(0);
    })
        .detach();
    for (;;) {
        const auto leadership = election.campaign({});
        {
            const std::lock_guard lock(mutex);
            leading = &*leadership;
        }
        lead(db, *leadership, how);
        const std::lock_guard lock(mutex);
        leading = nullptr;
    }
}

} // namespace

bool run_candidate(int argc, char** argv) {
    if (argc != 9 || std::string_view(argv[1]) != "candidate")
        return false;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        (void)campaign({.url = argv[2],
                        .election = argv[3],
                        .candidate = argv[4],
                        .lease_ms = std::stoi(argv[5]),
                        .poll_ms = std::stoi(argv[6]),
                        .writes = std::string_view(argv[7]) == "writes",
                        .fenced = std::string_view(argv[8]) == "fenced"});
    } catch (const std::exception& wrong) {
        std::cerr << wrong.what() << '\n';
    }
    return true;
}

candidate_process::candidate_process(const candidate_arguments& how, std::function<void(const std::string&)> told) {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0)
        fail("pipe");
    const std::string lease = std::to_string(how.lease_ms);
    const std::string poll = std::to_string(how.poll_ms);
    const std::array<const char*, 10> arguments{"/proc/self/exe",
                                                "candidate",
                                                how.url.c_str(),
                                                how.election.c_str(),
                                                how.candidate.c_str(),
                                                lease.c_str(),
                                                poll.c_str(),
                                                how.writes ? "writes" : "waits",
                                                how.fenced ? "fenced" : "unfenced",
                                                nullptr};
    const std::string space = how.network_namespace.empty() ? "" : "/run/netns/" + how.network_namespace;
    pid_ = ::fork();
    if (pid_ < 0)
        fail("fork");
    if (pid_ == 0) { // only what is safe between fork and exec
        if (!space.empty()) {
            const int descriptor = ::open(space.c_str(), O_RDONLY | O_CLOEXEC);
            if (descriptor < 0 || ::setns(descriptor, CLONE_NEWNET) != 0)
                ::_exit(126);
        }
        ::dup2(in[0], STDIN_FILENO);
        ::dup2(out[1], STDOUT_FILENO);
        ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
        ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_child_ = in[1];
    reader_ = std::jthread([from = out[0], told = std::move(told)] {
        std::string pending;
        std::array<char, 4096> bytes{};
        for (;;) {
            const auto got = ::read(from, bytes.data(), bytes.size());
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                break;
            pending.append(bytes.data(), static_cast<std::size_t>(got));
            for (auto end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
                told(pending.substr(0, end));
                pending.erase(0, end + 1);
            }
        }
        ::close(from);
    });
}

candidate_process::~candidate_process() {
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
    ::close(to_child_);
}

void candidate_process::signal(int number) const {
    if (::kill(pid_, number) != 0)
        fail("kill");
}

void candidate_process::say(const std::string& line) const {
    const std::string whole = line + "\n";
    (void)!::write(to_child_, whole.data(), whole.size());
}

} // namespace bench
