// Behind a pooler an election refuses, and says what to do.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/election/election.hpp>
#include <tenon/pg/install.hpp>
#include <tenon/pg/listener.hpp>
#include <tenon/testing/cluster.hpp>

#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// PgBouncer in transaction mode on a Unix socket of its own.
class bouncer {
public:
    bouncer(const testing::cluster& server, const std::string& database, bool drops_options) {
        std::string pattern = (std::filesystem::temp_directory_path() / "tenon-bouncer-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        std::filesystem::permissions(folder_, std::filesystem::perms::all);
        {
            std::ofstream settings(folder_ / "pgbouncer.ini");
            settings << "[databases]\n* = host=" << server.socket_directory().string() << " port=" << server.port()
                     << " user=postgres dbname=" << database
                     << "\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = " << folder_.string()
                     << "\nserver_login_retry = 1\nauth_type = any\npool_mode = "
                        "transaction\nignore_startup_parameters = "
                     << "extra_float_digits" << (drops_options ? ",options" : "") << "\n";
        }
        const std::string file = (folder_ / "pgbouncer.ini").string();
        std::array<const char*, 6> arguments{"pgbouncer", "-q", "-u", "postgres", file.c_str(), nullptr};
        if (::getuid() != 0)
            arguments = {"pgbouncer", "-q", file.c_str(), nullptr, nullptr, nullptr};
        if (::posix_spawn(&pid_, program, nullptr, nullptr, const_cast<char* const*>(arguments.data()), environ) != 0)
            pid_ = 0;
    }
    bouncer(const bouncer&) = delete;
    bouncer& operator=(const bouncer&) = delete;
    ~bouncer() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        std::filesystem::remove_all(folder_);
    }
    [[nodiscard]] std::string url() const { return "host=" + folder_.string() + " port=6432 user=postgres dbname=any"; }
    static constexpr const char* program = "/usr/sbin/pgbouncer";

private:
    std::filesystem::path folder_;
    pid_t pid_ = 0;
};

} // namespace

TEST_CASE(
    "an election through a connection that does not keep its session refuses with advice, whatever the pooler drops") {
    if (::access(bouncer::program, X_OK) != 0)
        SKIP("pgbouncer is not installed");
    const bool drops_options = GENERATE(false, true);
    const testing::cluster server;
    {
        connection db{server.url()};
        db.transact([](transaction& tx) { install(tx); });
    }
    const bouncer between(server, "postgres", drops_options);
    pool pooled{between.url(), {.connection = {.statement_cache = 0}}};
    const auto deadline = std::chrono::steady_clock::now() + 120s;
    while (true) // until it listens
        try {
            pooled.transact([](transaction& tx) { tx.execute("select 1"); });
            break;
        } catch (const error& failure) {
            if (std::chrono::steady_clock::now() > deadline)
                FAIL(failure.what());
        }
    election job{pooled, "job", {.lease = 10s, .poll = 50ms}};
    CHECK_THROWS_WITH(job.campaign({}), ContainsSubstring("pooler") && ContainsSubstring("election_options::conninfo"));
    CHECK_THROWS_AS(job.campaign({}), session_not_dedicated);

    CHECK_THROWS_AS(listener(between.url(), {"changes"}), session_not_dedicated);

    // With a direct connection for the election, its transactions may go through the pooler.
    election direct{pooled, "job", {.lease = 10s, .poll = 50ms, .conninfo = server.url()}};
    const auto leadership = direct.campaign({});
    REQUIRE(leadership);
    CHECK_NOTHROW(leadership->transact([](transaction& tx) { tx.execute("create table work (n int)"); }));
}

TEST_CASE("a session of its own is no pooler") {
    database_fixture t;
    t.db.transact([](transaction& tx) { install(tx); });
    pool pooled{t.database.url()};
    election job{pooled, "job", {.lease = 10s, .poll = 50ms}};
    CHECK(job.campaign({}));
}
