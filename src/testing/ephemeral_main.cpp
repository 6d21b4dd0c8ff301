// tenon-ephemeral: runs a command with a PostgreSQL of its own.

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/testing/cluster.hpp>
#include <tenon/testing/test_database.hpp>

namespace {

constexpr std::string_view usage =
    "usage: tenon-ephemeral [--tcp] [--set NAME=VALUE]... -- COMMAND [ARGUMENT]...\n"
    "\n"
    "Starts a PostgreSQL server, runs COMMAND, removes the server and exits with COMMAND's status. COMMAND finds\n"
    "an empty database in TENON_DATABASE_URL, and the server in TENON_TEST_URL, so that tests share it. The\n"
    "server goes too when this program is killed.\n"
    "\n"
    "  --tcp             connect through 127.0.0.1 instead of a Unix socket\n"
    "  --set NAME=VALUE  a server setting, as in postgresql.conf\n"
    "\n"
    "The server programs are looked for in $TENON_PG_BIN, `pg_config --bindir`, /usr/lib/postgresql and PATH.\n";

struct request {
    tenon::testing::cluster_options options{};
    char** command = nullptr;
};

// The command is null when the arguments do not make sense.
request parse(int argc, char** argv) {
    request result;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument{argv[i]};
        if (argument == "--") {
            result.command = i + 1 < argc ? argv + i + 1 : nullptr;
            return result;
        }
        if (argument == "--tcp") {
            result.options.listen_tcp = true;
        } else if (argument == "--set" && i + 1 < argc) {
            const std::string setting{argv[++i]};
            const std::size_t equals = setting.find('=');
            if (equals == std::string::npos)
                return result;
            result.options.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
        } else {
            return result;
        }
    }
    return result;
}

// The exit status a shell gives: 128 + signal for a command that a signal ended.
int exit_status(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// `handled` are blocked here and waited for; the command starts with the mask we were started with. A Ctrl-C at
// the terminal reaches the command by itself; what was sent to us alone is passed on.
int run(char** command, const sigset_t& handled, const sigset_t& original) {
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &original);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t child = -1;
    const int failure = posix_spawnp(&child, command[0], nullptr, &attributes, command, environ);
    posix_spawnattr_destroy(&attributes);
    if (failure != 0) {
        std::cerr << "tenon-ephemeral: cannot run " << command[0] << ": " << std::generic_category().message(failure)
                  << '\n';
        return failure == ENOENT ? 127 : 126;
    }
    for (;;) {
        int status = 0;
        if (::waitpid(child, &status, WNOHANG) == child)
            return exit_status(status);
        siginfo_t signal{};
        if (::sigwaitinfo(&handled, &signal) > 0 && signal.si_signo != SIGCHLD && signal.si_code <= 0)
            ::kill(child, signal.si_signo);
    }
}

} // namespace

int main(int argc, char** argv) {
    const request wanted = parse(argc, argv);
    if (wanted.command == nullptr) {
        const bool asked = argc == 2 && std::string_view{argv[1]} == "--help";
        (asked ? std::cout : std::cerr) << usage;
        return asked ? 0 : 2;
    }
    try {
        const tenon::testing::cluster server{wanted.options};
        const tenon::testing::test_database database{server, {.name = "app"}};
        const auto url = [&](std::string_view name) {
            return wanted.options.listen_tcp ? server.tcp_url(name) : server.url(name);
        };
        ::setenv("TENON_DATABASE_URL", url(database.name()).c_str(), 1);
        ::setenv("TENON_TEST_URL", url("postgres").c_str(), 1);

        sigset_t handled;
        sigset_t original;
        sigemptyset(&handled);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD})
            sigaddset(&handled, signal);
        ::sigprocmask(SIG_BLOCK, &handled, &original);
        return run(wanted.command, handled, original);
    } catch (const std::exception& error) {
        std::cerr << "tenon-ephemeral: " << error.what() << '\n';
        return 1;
    }
}
