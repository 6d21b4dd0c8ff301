// A candidate in a process of its own, for faults that only a process can have.
//
// The program that measures is the candidate, too: it runs itself again with `candidate` as its first argument, and
// hands over to `run_candidate` from its main. The child says on its standard output what becomes of it, a line for
// each turn, with the time by CLOCK_BOOTTIME in nanoseconds:
//
//     elected <ns> <timeline> <term>      deadline <term> <ns>      lost <ns> <term>
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace bench {

struct candidate_arguments {
    std::string url;
    std::string election;
    std::string candidate;
    int lease_ms = 2000;
    int poll_ms = 100;
    bool writes = false; ///< fenced increments, one after another, into the tables of `create_election_tables`
    bool fenced = true;  ///< false: through the pool, after a look at `held()`
    std::string network_namespace{}; ///< to run in, by name
};

/// True when the arguments are those of a candidate, which has run to its end then.
bool run_candidate(int argc, char** argv);

class candidate_process {
public:
    /// `told` is called for each line, on a thread of its own. The child is killed when this process dies.
    candidate_process(const candidate_arguments& how, std::function<void(const std::string&)> told);
    candidate_process(const candidate_process&) = delete;
    candidate_process& operator=(const candidate_process&) = delete;
    ~candidate_process(); // SIGKILL

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal(int number) const;
    /// "resign"
    void say(const std::string& line) const;

private:
    pid_t pid_ = 0;
    int to_child_ = -1;
    std::jthread reader_;
};

} // namespace bench
