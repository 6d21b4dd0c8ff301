#pragma once

/// An ephemeral PostgreSQL for tests: initdb, start and removal in one object.
///
/// A `cluster` owns a temporary folder (under TMPDIR, else /tmp) that holds the data directory, the server
/// log and the Unix socket, and one postmaster that runs on it. Started as root, the server drops to the
/// user `postgres`, or `nobody`. A watchdog process of its own removes server and folder once the object is
/// destroyed or its process has ended, in whatever way, SIGKILL included. Where memory is plenty,
/// TMPDIR=/dev/shm makes clusters and their databases several times as fast.
///
/// Threads: the const members may be called at once; the others need one caller at a time. Any number of
/// clusters may live in one process and in many processes. A child made by fork() without exec() shares the
/// cluster's lifeline: the cluster lives until the child has ended too.

#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace tenon::testing {

/// What a cluster or a test database could not do, with the remedy or the server's last words.
class cluster_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// How a server is asked to stop; PostgreSQL's own words (manual, "Shutting Down the Server").
enum class stop_mode {
    smart,     ///< Waits until every session has ended by itself.
    fast,      ///< Rolls open transactions back, ends sessions, writes a checkpoint.
    immediate, ///< Ends at once without a checkpoint; the next start recovers from the log.
};

struct cluster_options {
    /// Server settings as in postgresql.conf, applied after and so over the defaults of a cluster
    /// (fsync = off, full_page_writes = off, max_connections = 100, wal_level = replica,
    /// wal_keep_size = 256MB, wal_retrieve_retry_interval = 100ms, max_prepared_transactions = 10,
    /// timezone = UTC; all else as PostgreSQL has it), and tenon.ephemeral = on, by which a client may know it.
    std::vector<std::pair<std::string, std::string>> settings{};

    /// Also listen on a free port of 127.0.0.1, for tests of what crosses a network; see `tcp_url()`.
    bool listen_tcp = false;

    /// How long each of preparing, starting and stopping may take. Above zero.
    std::chrono::milliseconds deadline{std::chrono::seconds{60}};
};

class cluster {
public:
    /// Starts a server, ready for connections on return.
    ///
    /// The server programs are taken from the folder that the environment variable TENON_PG_BIN names, else
    /// from `pg_config --bindir`, the newest /usr/lib/postgresql/*/bin, or PATH. Where the environment variable
    /// TENON_PG_INITDB names a data directory as initdb made it, such as that of another cluster that is stopped, it is
    /// copied instead: that takes a tenth of initdb's time.
    /// Throws: cluster_error when they are missing, or the server does not come up.
    explicit cluster(const cluster_options& options = {});

    cluster(const cluster&) = delete;
    cluster& operator=(const cluster&) = delete;
    cluster(cluster&&) noexcept;
    cluster& operator=(cluster&&) noexcept;

    /// Stops the server at once and removes its folder.
    ~cluster();

    /// A connection URI for `database` as superuser `postgres` through the Unix socket.
    [[nodiscard]] std::string url(std::string_view database = "postgres") const;

    /// The same through 127.0.0.1, with the superuser's password (SCRAM), which is random for each cluster.
    /// Throws: cluster_error unless `listen_tcp` was set.
    [[nodiscard]] std::string tcp_url(std::string_view database = "postgres") const;

    [[nodiscard]] std::filesystem::path socket_directory() const;
    [[nodiscard]] std::filesystem::path data_directory() const;

    /// The port, which also names the socket; a TCP port only if `listen_tcp` was set. Kept over restarts.
    [[nodiscard]] int port() const noexcept;

    /// The postmaster's process id; 0 while the server is stopped.
    [[nodiscard]] pid_t pid() const;
    [[nodiscard]] bool running() const;

    /// The server's version as libpq has it: 150018 is 15.18. Throws: cluster_error when stopped.
    [[nodiscard]] int version() const;

    /// All that the server has written to its log.
    [[nodiscard]] std::string log() const;

    /// Throws: cluster_error when the server does not come up, or does not stop, within the deadline.
    /// Starting a server that runs, or stopping one that does not, does nothing.
    void start();
    void stop(stop_mode mode = stop_mode::fast);
    void restart(stop_mode mode = stop_mode::fast);

    /// Kills the postmaster and all its processes (SIGKILL), as a failing machine would. What was committed
    /// is there again after `start()`.
    void crash();

    /// A new server that streams from this one (pg_basebackup), streaming and open to reads on return. Its
    /// options are on top of this server's settings; a setting `cluster_name` is its name in
    /// `synchronous_standby_names`. It keeps its own folder and may outlive this cluster.
    /// Throws: cluster_error, also when this server is stopped.
    [[nodiscard]] cluster standby(const cluster_options& options = {}) const;

    /// Returns once this standby has replayed what `primary` has written to its log so far.
    /// Throws: cluster_error when the deadline passes first.
    void catch_up_with(const cluster& primary) const;

    /// Makes this standby a primary, open to writes on return. Throws: cluster_error when it is not a standby.
    void promote();

private:
    struct state;
    explicit cluster(std::unique_ptr<state> prepared) noexcept;

    std::unique_ptr<state> state_;
};

/// One cluster for the whole process, started on first use and removed at exit. Safe to call from any thread.
/// Throws: as cluster's constructor; the next call tries again.
cluster& shared_cluster();

} // namespace tenon::testing
