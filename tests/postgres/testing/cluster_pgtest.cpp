#include <tenon/testing/cluster.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "ask.hpp"
#include "environment_variable.hpp"
#include "support/eventually.hpp"

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using tenon::testing::cluster;
using tenon::testing::cluster_error;
using tenon::testing::shared_cluster;
using tenon::testing::stop_mode;
using tenon::tests::ask;
using tenon::tests::environment_variable;
using tenon::tests::eventually;

namespace {

// A zombie, which only waits for its parent to ask after it, exists no more. The state follows the name in
// parentheses (proc(5), /proc/pid/stat).
bool process_exists(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string line;
    std::getline(file, line);
    const std::size_t name_end = line.rfind(") ");
    return name_end != std::string::npos && line[name_end + 2] != 'Z';
}

// The id of the server's System V segment, from the last but one line of postmaster.pid.
int shared_memory_id(const fs::path& data_directory) {
    std::ifstream file{data_directory / "postmaster.pid"};
    std::string line;
    for (int i = 0; i < 7; ++i)
        std::getline(file, line);
    std::istringstream words{line};
    long key = 0;
    int id = -1;
    words >> key >> id;
    return id;
}

bool shared_memory_exists(int id) {
    shmid_ds status{};
    return ::shmctl(id, IPC_STAT, &status) == 0;
}

// A cluster for tests that stop and start it, or make it a primary; running between tests.
std::unique_ptr<cluster>& spare() {
    static auto made = std::make_unique<cluster>();
    return made;
}

// What a process that holds a cluster tells of it.
struct holder {
    pid_t process = 0;
    pid_t postmaster = 0;
    pid_t spawned = 0;
    int shared_memory = -1;
    std::array<char, 128> folder{};
};

[[noreturn]] void hold_a_cluster(int report, const std::function<pid_t(cluster&)>& then) {
    try {
        cluster held;
        holder told{.process = ::getpid(), .postmaster = held.pid()};
        told.shared_memory = shared_memory_id(held.data_directory());
        held.socket_directory().string().copy(told.folder.data(), told.folder.size() - 1);
        told.spawned = then(held);
        if (::write(report, &told, sizeof told) == static_cast<ssize_t>(sizeof told))
            for (;;)
                ::pause();
    } catch (...) {
    }
    ::_exit(1);
}

// A child process that starts a cluster, does `then` with it, and waits to be killed.
holder start_holder(const std::function<pid_t(cluster&)>& then) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0)
        hold_a_cluster(ends[1], then);
    ::close(ends[1]);
    holder told;
    const ssize_t got = ::read(ends[0], &told, sizeof told);
    ::close(ends[0]);
    REQUIRE(got == static_cast<ssize_t>(sizeof told));
    return told;
}

void kill_and_reap(pid_t process) {
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
}

} // namespace

TEST_CASE("a started cluster answers") {
    const cluster& server = shared_cluster();

    CHECK(ask(server.url(), "SELECT 6 * 7") == "42");
    CHECK(server.running());
    CHECK(server.version() >= 150000);
    CHECK(server.log().find("ready to accept connections") != std::string::npos);
}

TEST_CASE("a cluster runs with its own settings, and with the caller's over them") {
    const cluster server{{.settings = {{"max_connections", "23"}, {"search_path", "a'b\\c"}}}};

    CHECK(ask(server.url(), "SHOW max_connections") == "23");
    CHECK(ask(server.url(), "SHOW search_path") == "a'b\\c");
    CHECK(ask(server.url(), "SHOW fsync") == "off");
    CHECK(ask(server.url(), "SHOW max_prepared_transactions") == "10");
    CHECK(ask(server.url(), "SHOW server_encoding") == "UTF8");
}

TEST_CASE("options that cannot be meant are refused") {
    CHECK_THROWS_AS((cluster{{.settings = {{"work_mem", "1MB\nport = 1"}}}}), cluster_error);
    CHECK_THROWS_AS((cluster{{.settings = {{"a = b", "1"}}}}), cluster_error);
    CHECK_THROWS_AS((cluster{{.deadline = 0s}}), cluster_error);
}

TEST_CASE("a setting the server refuses fails with the server's words") {
    try {
        const cluster server{{.settings = {{"max_connections", "many"}}}};
        FAIL("the server started");
    } catch (const cluster_error& error) {
        CHECK(std::string{error.what()}.find("invalid value for parameter \"max_connections\"") != std::string::npos);
    }
}

TEST_CASE("a URL names a database with any characters") {
    const cluster& server = shared_cluster();
    const std::string name = "odd /?&=%name\xC3\xA9";
    ask(server.url(), "CREATE DATABASE \"" + name + "\"");

    CHECK(ask(server.url(name), "SELECT current_database()") == name);
}

TEST_CASE("a cluster listens on TCP only when asked, and then asks for its password") {
    const cluster& closed = shared_cluster();
    const cluster open{{.listen_tcp = true}};
    const std::string port = std::to_string(open.port());

    CHECK(ask(closed.url(), "SHOW listen_addresses").empty());
    CHECK_THROWS_AS(closed.tcp_url(), cluster_error);
    CHECK(ask(open.tcp_url(), "SELECT inet_server_port()") == port);
    CHECK(ask(open.url(), "SELECT 1") == "1");
    CHECK_THROWS(ask("host=127.0.0.1 user=postgres password=wrong port=" + port, "SELECT 1"));
}

TEST_CASE("clusters start side by side, each on its own") {
    const auto start = [] { return cluster{}; };
    auto first = std::async(std::launch::async, start);
    auto second = std::async(std::launch::async, start);
    const cluster one = first.get();
    const cluster two = second.get();

    ask(one.url(), "CREATE TABLE only_here ()");

    CHECK(ask(one.url(), "SELECT to_regclass('only_here')") == "only_here");
    CHECK(ask(two.url(), "SELECT to_regclass('only_here')").empty());
}

TEST_CASE("the server does not run as root") {
    const cluster& server = shared_cluster();
    struct stat status{};
    REQUIRE(::stat(("/proc/" + std::to_string(server.pid())).c_str(), &status) == 0);

    CHECK(status.st_uid != 0);
}

TEST_CASE("nothing of a cluster is left after its destructor") {
    auto server = std::make_unique<cluster>();
    const pid_t postmaster = server->pid();
    const fs::path folder = server->socket_directory();
    const int memory = shared_memory_id(server->data_directory());
    REQUIRE(process_exists(postmaster));
    REQUIRE(shared_memory_exists(memory));

    server.reset();

    CHECK_FALSE(process_exists(postmaster));
    CHECK_FALSE(fs::exists(folder));
    CHECK_FALSE(shared_memory_exists(memory));
}

TEST_CASE("nothing of a cluster is left after its process is killed, though a program it started lives on") {
    const holder told = start_holder([](cluster&) {
        const pid_t child = ::fork();
        if (child == 0)
            ::execlp("sleep", "sleep", "60", nullptr);
        return child;
    });
    REQUIRE(process_exists(told.postmaster));

    kill_and_reap(told.process);

    CHECK(eventually([&] { return !fs::exists(told.folder.data()); }));
    CHECK_FALSE(process_exists(told.postmaster));
    CHECK_FALSE(shared_memory_exists(told.shared_memory));
    CHECK(::kill(told.spawned, SIGKILL) == 0);
}

TEST_CASE("nothing is left of a cluster whose postmaster was killed before its process") {
    const holder told = start_holder([](cluster& held) { return ::kill(held.pid(), SIGKILL); });

    kill_and_reap(told.process);

    CHECK(eventually([&] { return !fs::exists(told.folder.data()); }));
    CHECK_FALSE(process_exists(told.postmaster));
    CHECK_FALSE(shared_memory_exists(told.shared_memory));
}

TEST_CASE("nothing is left of a cluster that was crashed") {
    auto server = std::make_unique<cluster>();
    const fs::path folder = server->socket_directory();
    const int memory = shared_memory_id(server->data_directory());
    server->crash();

    server.reset();

    CHECK_FALSE(fs::exists(folder));
    CHECK_FALSE(shared_memory_exists(memory));
}

TEST_CASE("a forked child that destroys a cluster leaves its parent's alone") {
    std::unique_ptr<cluster>& server = spare();
    const pid_t child = ::fork();
    if (child == 0) {
        server.reset();
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);

    CHECK(ask(server->url(), "SELECT 1") == "1");
}

TEST_CASE("a restart keeps the data and the URL, and is a new server") {
    cluster& server = *spare();
    const std::string url = server.url();
    const pid_t before = server.pid();
    ask(url, "CREATE TABLE restarted AS SELECT 1 AS n");

    for (const stop_mode mode : {stop_mode::smart, stop_mode::fast, stop_mode::immediate}) {
        server.restart(mode);
        CHECK(ask(url, "SELECT n FROM restarted") == "1");
    }

    CHECK(server.pid() != before);
}

TEST_CASE("a stopped cluster refuses connections until it is started") {
    cluster& server = *spare();

    server.stop();
    CHECK_FALSE(server.running());
    CHECK(server.pid() == 0);
    CHECK_THROWS(ask(server.url(), "SELECT 1"));
    CHECK_NOTHROW(server.stop());

    server.start();
    CHECK(ask(server.url(), "SELECT 1") == "1");
    CHECK_NOTHROW(server.start());
}

TEST_CASE("a crash kills every process of the server, and a start recovers what was committed") {
    cluster& server = *spare();
    ask(server.url(), "CREATE TABLE kept AS SELECT 1 AS n");
    const std::unique_ptr<PGconn, void (*)(PGconn*)> session{PQconnectdb(server.url().c_str()), PQfinish};
    REQUIRE(PQsendQuery(session.get(), "DO 'BEGIN LOOP END LOOP; END'") == 1);
    const pid_t backend = PQbackendPID(session.get());

    server.crash();
    CHECK_FALSE(server.running());
    CHECK(eventually([&] { return !process_exists(backend); }));
    server.start();

    CHECK(ask(server.url(), "SELECT n FROM kept") == "1");
    CHECK(server.log().find("automatic recovery in progress") != std::string::npos);
}

TEST_CASE("a standby has its primary's rows and refuses writes") {
    const cluster& primary = shared_cluster();
    ask(primary.url(), "CREATE TABLE streamed AS SELECT 1 AS n");
    const cluster standby = primary.standby();
    ask(primary.url(), "INSERT INTO streamed VALUES (2)");

    standby.catch_up_with(primary);

    CHECK(ask(standby.url(), "SELECT sum(n) FROM streamed") == "3");
    CHECK(ask(standby.url(), "SELECT pg_is_in_recovery()") == "t");
    CHECK_THROWS(ask(standby.url(), "INSERT INTO streamed VALUES (3)"));
}

TEST_CASE("a promoted standby takes writes after its primary crashed") {
    cluster primary;
    ask(primary.url(), "CREATE TABLE streamed AS SELECT 1 AS n");
    cluster standby = primary.standby();
    standby.catch_up_with(primary);

    primary.crash();
    standby.promote();

    ask(standby.url(), "INSERT INTO streamed VALUES (2)");
    CHECK(ask(standby.url(), "SELECT sum(n) FROM streamed") == "3");
    CHECK_THROWS_AS(standby.promote(), cluster_error);
}

TEST_CASE("a standby goes on streaming after its primary restarted") {
    cluster& primary = *spare();
    ask(primary.url(), "CREATE TABLE still_streamed AS SELECT 1 AS n");
    const cluster standby = primary.standby();

    primary.restart(stop_mode::immediate);
    ask(primary.url(), "INSERT INTO still_streamed VALUES (2)");
    standby.catch_up_with(primary);

    CHECK(ask(standby.url(), "SELECT sum(n) FROM still_streamed") == "3");
}

TEST_CASE("a primary knows its standby by the standby's cluster_name") {
    const cluster& primary = shared_cluster();
    const cluster standby = primary.standby({.settings = {{"cluster_name", "west"}}});

    CHECK(ask(primary.url(), "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'west'") == "1");
}

TEST_CASE("a cluster runs initdb, or copies what it made before") {
    cluster made;
    {
        const environment_variable none{"TENON_PG_INITDB", ""};
        cluster anew{{.listen_tcp = true}};
        CHECK(ask(anew.tcp_url(), "SELECT 1") == "1");
        CHECK(ask(anew.url(), "SELECT system_identifier FROM pg_control_system()") !=
              ask(made.url(), "SELECT system_identifier FROM pg_control_system()"));
        ask(anew.url(), "CREATE TABLE kept AS SELECT 7 AS n");
        anew.stop();
        made = std::move(anew);
    }
    const environment_variable named{"TENON_PG_INITDB", made.data_directory().string()};
    const cluster copied{{.listen_tcp = true}};
    CHECK(ask(copied.url(), "SELECT n FROM kept") == "7");
    CHECK(ask(copied.tcp_url(), "SELECT n FROM kept") == "7"); // by a password of its own
    CHECK(copied.socket_directory() != made.socket_directory());
}

TEST_CASE("what is to be copied and is no data directory is named with the remedy") {
    const environment_variable nowhere{"TENON_PG_INITDB", "/nonexistent"};
    try {
        const cluster server;
        FAIL("a server started from /nonexistent");
    } catch (const cluster_error& error) {
        CHECK(std::string{error.what()} == "TENON_PG_INITDB names /nonexistent, which is no data directory; name what "
                                           "initdb made, or unset it to have it run");
    }
}

TEST_CASE("missing server programs are named with the remedy") {
    const environment_variable nowhere{"TENON_PG_BIN", "/nonexistent"};
    try {
        const cluster server;
        FAIL("a server started from /nonexistent");
    } catch (const cluster_error& error) {
        CHECK(std::string{error.what()} ==
              "TENON_PG_BIN names /nonexistent, where initdb and postgres are not found; set it to the bin folder "
              "of a PostgreSQL server, or unset it to have one looked for");
    }
}

TEST_CASE("a TMPDIR that is too long or closed to the server gives way to /tmp") {
    const environment_variable folder{"TMPDIR", "/tmp/" + std::string(90, 'x')};
    const cluster server;

    CHECK(server.socket_directory().parent_path() == "/tmp");
    CHECK(ask(server.url(), "SELECT 1") == "1");
}

TEST_CASE("the shared cluster is one for all threads") {
    auto first = std::async(std::launch::async, [] { return &tenon::testing::shared_cluster(); });
    auto second = std::async(std::launch::async, [] { return &tenon::testing::shared_cluster(); });

    CHECK(first.get() == second.get());
    CHECK(ask(tenon::testing::shared_cluster().url(), "SELECT 1") == "1");
}
