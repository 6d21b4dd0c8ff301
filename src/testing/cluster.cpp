#include <tenon/testing/cluster.hpp>

#include <array>
#include <charconv>
#include <clocale>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin_session.hpp"
#include "cluster_folder.hpp"
#include "server_binaries.hpp"
#include "server_settings.hpp"
#include "watchdog.hpp"

namespace tenon::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Looks every 2 ms. False when the deadline passes first.
bool wait_until(steady_clock::time_point until, const std::function<bool()>& condition) {
    while (!condition()) {
        if (steady_clock::now() >= until)
            return false;
        std::this_thread::sleep_for(milliseconds{2});
    }
    return true;
}

// Binding to port 0 has the system choose. Another process may take the port before the server does; the
// start is then tried again with another one.
int free_tcp_port() {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address); // the sockets interface asks for this cast
    const bool bound = probe >= 0 && ::bind(probe, generic, length) == 0 && ::getsockname(probe, generic, &length) == 0;
    if (probe >= 0)
        ::close(probe);
    if (!bound)
        throw cluster_error{"cannot bind to a port of 127.0.0.1 for the test cluster"};
    return ntohs(address.sin_port);
}

std::string random_password() {
    std::random_device device;
    std::string result;
    for (int i = 0; i < 4; ++i) {
        std::array<char, 9> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(),
                                       std::uniform_int_distribution<std::uint32_t>{}(device), 36);
        result.append(digits.data(), end.ptr);
    }
    return result;
}

// UTF-8 with the code points' own order, as a container image has it; C where the system has no such locale.
const char* locale_name() {
    const locale_t locale = ::newlocale(LC_ALL_MASK, "C.UTF-8", nullptr);
    if (locale == nullptr)
        return "C";
    ::freelocale(locale);
    return "C.UTF-8";
}

// Refused before anything is started.
cluster_options validated(const cluster_options& options) {
    if (options.deadline <= milliseconds::zero())
        throw cluster_error{"cluster_options::deadline needs to be above zero"};
    (void)setting_lines(options.settings);
    return options;
}

int signal_of(stop_mode mode) {
    switch (mode) {
    case stop_mode::smart:
        return SIGTERM;
    case stop_mode::fast:
        return SIGINT;
    case stop_mode::immediate:
        break;
    }
    return SIGQUIT;
}

pid_t parse_pid(std::string_view text) {
    pid_t pid = 0;
    std::from_chars(text.data(), text.data() + text.size(), pid);
    return pid;
}

} // namespace

struct cluster::state {
    explicit state(const cluster_options& how)
        : options{validated(how)},
          binaries{find_server_binaries()},
          account{find_server_account()},
          folder{make_cluster_folder(account)},
          guard{folder, account.become()} {
        if (options.listen_tcp)
            port = free_tcp_port();
    }

    [[nodiscard]] std::filesystem::path data() const { return folder / "data"; }

    [[nodiscard]] pid_t pid() const {
        return std::filesystem::exists(folder / "exited") ? 0 : parse_pid(read_text(folder / "pid"));
    }

    // A program of the server's, or else of the system's.
    [[nodiscard]] std::string as_account(const std::string& program, const std::vector<std::string>& arguments) const {
        std::vector<std::string> words = account.become();
        const std::filesystem::path of_the_server = binaries / program;
        words.push_back(std::filesystem::exists(of_the_server) ? of_the_server.string() : program);
        words.insert(words.end(), arguments.begin(), arguments.end());
        return shell_command(words);
    }

    // Makes the data directory by initdb, pg_basebackup or cp.
    void prepare(const std::string& program, const std::vector<std::string>& arguments) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.deadline).count();
        const std::string command =
            "timeout " + std::to_string(seconds) + " " + as_account(program, arguments) + " >setup.log 2>&1";
        if (guard.run(command, options.deadline + std::chrono::seconds{2}) != 0)
            throw cluster_error{program + " failed for the test cluster; its last words:\n" +
                                last_lines(read_text(folder / "setup.log"), 10)};
    }

    // In a tenth of initdb's time. The password is not known.
    void copy(const std::filesystem::path& made_before) {
        std::error_code missing;
        const std::filesystem::path from = std::filesystem::canonical(made_before, missing);
        if (missing || !std::filesystem::exists(from / "PG_VERSION"))
            throw cluster_error{"TENON_PG_INITDB names " + made_before.string() +
                                ", which is no data directory; name what initdb made, or unset it to have it run"};
        prepare("cp", {"-a", from.string(), "data"});
        configure(cluster_defaults());
    }

    void initdb() {
        password = random_password();
        append_text(folder / "password", password + '\n');
        if (account.drops_root && ::chown((folder / "password").c_str(), account.uid, account.gid) != 0)
            throw cluster_error{"cannot give a file of the test cluster to the user " + account.name};
        prepare("initdb", {"--pgdata=data", "--no-sync", "--no-instructions", "--username=postgres",
                           "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile=password", "--encoding=UTF8",
                           std::string{"--locale="} + locale_name()});
        std::filesystem::remove(folder / "password");
        configure(cluster_defaults());
    }

    void configure(const server_settings& settings) const {
        append_text(data() / "postgresql.conf", setting_lines(settings));
    }

    void configure_place() const {
        configure({{"port", std::to_string(port)},
                   {"listen_addresses", options.listen_tcp ? "127.0.0.1" : ""},
                   {"unix_socket_directories", folder.string()},
                   {"unix_socket_permissions", "0700"}});
        configure(options.settings);
    }

    // The server's status line turns to "ready" when it accepts connections (miscadmin.h, "pidfile").
    [[nodiscard]] bool ready() const {
        const std::string text = read_text(data() / "postmaster.pid");
        const std::string status = last_lines(text, 1);
        return (status.starts_with("ready") || status.starts_with("standby")) && parse_pid(text) == pid();
    }

    void start(bool first) {
        const auto until = steady_clock::now() + options.deadline;
        for (;;) {
            const std::size_t logged = log().size();
            guard.start_server(as_account("postgres", {"-D", "data"}), options.deadline);
            bool ended = false;
            const bool in_time = wait_until(until, [&] {
                ended = std::filesystem::exists(folder / "exited");
                return ended || ready();
            });
            if (in_time && !ended)
                return;
            const std::string said = log().substr(logged);
            const bool taken = ended && said.find("Address already in use") != std::string::npos;
            if (!taken || steady_clock::now() >= until)
                throw cluster_error{std::string{"the test cluster's server "} +
                                    (ended ? "ended while it started" : "did not become ready in time") +
                                    "; the last lines of its log:\n" + last_lines(said, 10)};
            if (first) {
                port = free_tcp_port();
                configure({{"port", std::to_string(port)}});
            }
        }
    }

    void stop(stop_mode mode) const {
        const pid_t server = pid();
        if (server == 0)
            return;
        ::kill(server, signal_of(mode));
        wait_for_exit();
    }

    void wait_for_exit() const {
        if (!wait_until(steady_clock::now() + options.deadline, [this] { return pid() == 0; }))
            throw cluster_error{"the test cluster's server did not stop in time; the last lines of its log:\n" +
                                last_lines(log(), 10)};
    }

    [[nodiscard]] std::string log() const { return read_text(folder / "server.log"); }

    cluster_options options;
    std::filesystem::path binaries;
    server_account account;
    std::filesystem::path folder;
    watchdog guard;
    int port = 5432;
    std::string password;
};

cluster::cluster(const cluster_options& options) : cluster{std::make_unique<state>(options)} {
    const char* made_before = std::getenv("TENON_PG_INITDB");
    const bool copied = made_before != nullptr && *made_before != '\0';
    if (copied)
        state_->copy(made_before);
    else
        state_->initdb();
    state_->configure_place();
    state_->start(true);
    if (copied && options.listen_tcp) {
        state_->password = random_password();
        admin_session{url()}.query("ALTER ROLE postgres PASSWORD '" + state_->password + "'");
    }
}

cluster::cluster(std::unique_ptr<state> prepared) noexcept : state_{std::move(prepared)} {}
cluster::cluster(cluster&&) noexcept = default;
cluster& cluster::operator=(cluster&&) noexcept = default;
cluster::~cluster() = default;

std::string cluster::url(std::string_view database) const {
    return "postgresql://postgres@/" + percent_encode(database) + "?host=" + percent_encode(state_->folder.string()) +
           "&port=" + std::to_string(state_->port);
}

std::string cluster::tcp_url(std::string_view database) const {
    if (!state_->options.listen_tcp)
        throw cluster_error{"this test cluster has no TCP port; start it with {.listen_tcp = true}"};
    return "postgresql://postgres:" + state_->password + "@127.0.0.1:" + std::to_string(state_->port) + "/" +
           percent_encode(database);
}

std::filesystem::path cluster::socket_directory() const {
    return state_->folder;
}

std::filesystem::path cluster::data_directory() const {
    return state_->data();
}

int cluster::port() const noexcept {
    return state_->port;
}

pid_t cluster::pid() const {
    return state_->pid();
}

bool cluster::running() const {
    return pid() != 0;
}

int cluster::version() const {
    return admin_session{url()}.server_version();
}

std::string cluster::log() const {
    return state_->log();
}

void cluster::start() {
    if (!running())
        state_->start(false);
}

void cluster::stop(stop_mode mode) {
    state_->stop(mode);
}

void cluster::restart(stop_mode mode) {
    stop(mode);
    start();
}

void cluster::crash() {
    if (!running())
        return;
    state_->guard.kill_server(state_->options.deadline);
    state_->wait_for_exit();
}

cluster cluster::standby(const cluster_options& options) const {
    auto made = std::make_unique<state>(options);
    if (::access((made->binaries / "pg_basebackup").c_str(), X_OK) != 0)
        throw cluster_error{"a standby needs pg_basebackup, which is not in " + made->binaries.string() +
                            "; install the PostgreSQL client programs of the server's version there"};
    made->password = state_->password;
    made->prepare("pg_basebackup", {"--pgdata=data", "--no-sync", "--checkpoint=fast", "--wal-method=stream",
                                    "--write-recovery-conf", "--dbname=" + url()});
    made->configure_place();
    made->start(true);

    cluster result{std::move(made)};
    admin_session session{result.url()};
    const bool streaming = wait_until(steady_clock::now() + options.deadline, [&] {
        return session.query(
                   "SELECT 1 FROM pg_catalog.pg_stat_wal_receiver WHERE status OPERATOR(pg_catalog.=) 'streaming'") ==
               "1";
    });
    if (!streaming)
        throw cluster_error{"the standby does not stream from its primary; the last lines of its log:\n" +
                            last_lines(result.log(), 10)};
    return result;
}

void cluster::catch_up_with(const cluster& primary) const {
    const std::string written = admin_session{primary.url()}.query("SELECT pg_catalog.pg_current_wal_lsn()");
    admin_session session{url()};
    const bool reached = wait_until(steady_clock::now() + state_->options.deadline, [&] {
        return session.query("SELECT pg_catalog.pg_last_wal_replay_lsn() OPERATOR(pg_catalog.>=) $1::pg_catalog.pg_lsn",
                             {written}) == "t";
    });
    if (!reached)
        throw cluster_error{"the standby did not replay up to " + written + " in time"};
}

void cluster::promote() {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(state_->options.deadline).count();
    admin_session session{url()};
    if (session.query("SELECT pg_catalog.pg_is_in_recovery()") != "t")
        throw cluster_error{"only a standby can be promoted, and this test cluster is a primary"};
    if (session.query("SELECT pg_catalog.pg_promote(true, $1::integer)", {std::to_string(seconds)}) != "t")
        throw cluster_error{"the standby was not promoted in time; the last lines of its log:\n" +
                            last_lines(log(), 10)};
}

cluster& shared_cluster() {
    static cluster shared;
    return shared;
}

} // namespace tenon::testing
