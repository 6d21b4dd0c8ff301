#include "watchdog.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/testing/cluster.hpp>

namespace tenon::testing {
namespace {

using std::chrono::steady_clock;

// $1 is the folder, the rest the prefix that drops to the server's user. The inner subshell is adopted by
// init, so that a test runner which kills a test's whole process tree does not take it along. Signals are
// ignored: only the end of the socket (fd 3) ends it. Commands run with fd 3 closed.
//
// Cleaning up asks for an immediate shutdown, and kills after 10 s. A server that did not remove its
// postmaster.pid was killed by somebody: its leftover processes are swept up, and its shared memory too.
constexpr const char* script = R"sh(
umask 077
folder=$1
shift
cd "$folder" || exit 1
trap '' HUP INT TERM PIPE
sweep='
again=yes
while [ -n "$again" ]; do
    again=
    for process in /proc/[0-9]*; do
        if [ "$process/cwd" -ef "$1" ]; then
            kill -KILL "${process#/proc/}"
            again=yes
        fi
    done
done'
(
    started=
    start_server() {
        rm -f pid exited
        started=yes
        (
            sh -c 'echo $$ >pid; exec "$@"' postgres "$@" >>server.log 2>&1
            echo $? >exited
        ) 3>&- &
    }
    while IFS= read -r line <&3; do
        eval "$line" 3>&-
        echo $? >&3
    done
    tries=0
    while [ -n "$started" ] && ! [ -e exited ]; do
        tries=$((tries + 1))
        if ! [ -s pid ]; then
            :
        elif [ $tries -lt 500 ]; then
            kill -QUIT "$(cat pid)"
            kill -CONT "$(cat pid)"
        else
            kill -KILL "$(cat pid)"
        fi
        sleep 0.02
    done
    if [ -n "$started" ] && [ -e data/postmaster.pid ]; then
        "$@" sh -c "$sweep" sweep "$folder/data"
        set -- $(sed -n 7p data/postmaster.pid)
        [ -n "$2" ] && ipcrm -m "$2"
    fi
    cd /
    rm -rf "$folder"
) </dev/null >/dev/null 2>>watchdog.log &
)sh";

// Without the PG* variables, which would reach into the server programs, and with messages in English.
std::vector<std::string> clean_environment() {
    std::vector<std::string> result{"LC_ALL=C"};
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text{*variable};
        if (!text.starts_with("PG") && !text.starts_with("LC_") && !text.starts_with("LANG"))
            result.emplace_back(text);
    }
    return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (std::string& string : strings)
        result.push_back(string.data());
    result.push_back(nullptr);
    return result;
}

// The shell gets our end's peer as fd 3 and nothing else that is open here.
pid_t spawn_shell(std::vector<std::string> arguments, int peer) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, peer, 3);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, 4);

    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes,
                             static_cast<short>(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));

    std::vector<std::string> environment = clean_environment();
    pid_t pid = -1;
    const int failure =
        posix_spawn(&pid, "/bin/sh", &files, &attributes, pointers(arguments).data(), pointers(environment).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (failure != 0)
        throw cluster_error{"cannot start /bin/sh for the test cluster: " + std::generic_category().message(failure)};
    return pid;
}

// A line from the socket without its end; nullopt at end of file or past the deadline.
std::optional<std::string> read_line(int socket, steady_clock::time_point until) {
    std::string line;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
        if (left <= 0)
            return std::nullopt;
        pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, static_cast<int>(left)) <= 0)
            continue;
        char next = 0;
        const ssize_t got = ::recv(socket, &next, 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return std::nullopt;
        if (next == '\n')
            return line;
        line += next;
    }
}

} // namespace

std::string shell_quote(std::string_view text) {
    std::string result = "'";
    for (const char c : text) {
        if (c == '\'')
            result += "'\\''";
        else
            result += c;
    }
    return result += '\'';
}

std::string shell_command(const std::vector<std::string>& words) {
    std::string result;
    for (const std::string& word : words)
        result += (result.empty() ? "" : " ") + shell_quote(word);
    return result;
}

watchdog::watchdog(const std::filesystem::path& folder, const std::vector<std::string>& become) : owner_{::getpid()} {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw cluster_error{"cannot make a socket pair for the test cluster: " +
                            std::generic_category().message(errno)};
    std::vector<std::string> arguments{"sh", "-c", script, "tenon-watchdog", folder.string()};
    arguments.insert(arguments.end(), become.begin(), become.end());
    try {
        const pid_t shell = spawn_shell(std::move(arguments), ends[1]);
        while (::waitpid(shell, nullptr, 0) < 0 && errno == EINTR) {
        }
    } catch (...) {
        ::close(ends[0]);
        ::close(ends[1]);
        throw;
    }
    ::close(ends[1]);
    socket_ = ends[0];
}

watchdog::~watchdog() {
    // A forked child has no say over its parent's cluster.
    if (::getpid() == owner_) {
        ::shutdown(socket_, SHUT_WR);
        const auto until = steady_clock::now() + std::chrono::seconds{20};
        while (read_line(socket_, until)) {
        }
    }
    ::close(socket_);
}

int watchdog::run(const std::string& line, std::chrono::milliseconds deadline) {
    const auto until = steady_clock::now() + deadline;
    const std::string request = line + '\n';
    for (std::string_view rest = request; !rest.empty();) {
        const ssize_t sent = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            throw cluster_error{"the test cluster's watchdog process is gone, and the cluster with it"};
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    const std::optional<std::string> answer = read_line(socket_, until);
    if (!answer)
        throw cluster_error{"a command of the test cluster did not end in time: " + line};
    return std::stoi(*answer);
}

void watchdog::start_server(const std::string& command, std::chrono::milliseconds deadline) {
    run("start_server " + command, deadline);
}

void watchdog::kill_server(std::chrono::milliseconds deadline) {
    run(R"("$@" sh -c "$sweep" sweep "$folder/data")", deadline);
}

} // namespace tenon::testing
