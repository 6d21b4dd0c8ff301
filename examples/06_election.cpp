// One of two processes leads until it is killed, then the other. docs/guide/election.md shows the parts between //[name
// and //].
#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/tenon.hpp>

using namespace std::chrono_literals;

//[campaign
void run_candidate(tenon::pool& db, const std::string& name, const std::stop_token& stop) {
    const auto log = [](std::string_view line) { std::cerr << line << '\n'; };
    tenon::election job{db, "example", {.candidate = name, .lease = 2s, .poll = 100ms, .log = log}};
    while (const auto leadership = job.campaign(stop)) // waits for its turn; nullopt once stop is requested
        try {
            while (leadership->held()) {
                leadership->transact([&](tenon::transaction& tx) { // refused once another leads
                    tx.execute("insert into example_report (author) values ($1)", name);
                });
                std::this_thread::sleep_for(20ms);
            }
        } catch (const tenon::fenced_out&) {
            // The term ended after held() was asked. Nothing of this transaction was stored.
        }
}
//]

struct candidate_process { // this program again, as a candidate
    pid_t pid = 0;

    explicit candidate_process(std::string name) {
        const std::array<char*, 3> arguments{name.data(), name.data(), nullptr};
        if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0)
            throw std::runtime_error("cannot start " + name);
    }
    candidate_process(const candidate_process&) = delete;
    candidate_process& operator=(const candidate_process&) = delete;
    ~candidate_process() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
};

tenon::leader wait_for(const std::string& candidate, tenon::election& job) {
    for (int i = 0; i < 1000; ++i, std::this_thread::sleep_for(20ms))
        if (const auto now = job.current(); now && now->candidate == candidate)
            return *now;
    throw std::runtime_error(candidate + " does not lead");
}

void watch(tenon::pool& db) {
    //[observe
    tenon::election job{db, "example"};
    const std::jthread observer([&job](const std::stop_token& stop) {
        job.observe(stop, [](const std::optional<tenon::leader>& now) {
            std::cerr << "observer: " << (now ? now->candidate : "nobody") << " leads\n";
        });
    });
    //]
    std::optional<candidate_process> one{"one"};
    const tenon::leader first = wait_for("one", job);
    std::cout << "one leads\n";
    const candidate_process two{"two"};
    for (int i = 0; i < 1000 && db.transact([](auto& tx) { return tenon::candidates_of(tx, "example"); }) < 2; ++i)
        std::this_thread::sleep_for(20ms);
    one.reset();
    std::cout << "one is killed\n";
    const tenon::leader second = wait_for("two", job);
    std::cout << "two leads, " << second.token.term - first.token.term << " term later\n";
}

int main(int count, char** arguments) try {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    tenon::pool db{url ? url : "postgresql:///postgres"};
    if (count > 1) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL); // a candidate ends with the process that started it
        run_candidate(db, arguments[1], {});
        return 0;
    }
    bool is_new = false;
    db.transact([&](tenon::transaction& tx) {
        is_new = tenon::query<bool>{"select to_regnamespace('tenon') is null"}.one(tx);
        //[install
        tenon::install(tx); // the tables that elections stand on
        //]
        tx.execute("drop table if exists example_report");
        tx.execute("create table example_report (id bigserial, author text not null)");
    });
    std::exception_ptr failure;
    try {
        watch(db);
    } catch (...) {
        failure = std::current_exception();
    }
    db.transact([&](tenon::transaction& tx) {
        tx.execute(is_new ? "drop table example_report; drop schema tenon cascade" : "drop table example_report");
    });
    if (failure)
        std::rethrow_exception(failure);
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
