#pragma once

/// A shell outside this process that outlives it long enough to clean up.
///
/// The watchdog runs the commands of one cluster, so that every process of the cluster is its descendant and
/// none is ours. It reads them from a socket whose other end only this object holds; at its end, which the
/// kernel brings about however this process dies, it stops the server and removes the folder.

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace tenon::testing {

/// `text` as one word of a shell command.
[[nodiscard]] std::string shell_quote(std::string_view text);

/// `words` as a shell command.
[[nodiscard]] std::string shell_command(const std::vector<std::string>& words);

class watchdog {
public:
    /// Watches over `folder`, in which its commands run. `become` is the command prefix (setpriv and its
    /// arguments) that drops to the server's user; empty when there is none to drop to.
    /// Throws: cluster_error when no shell can be started.
    watchdog(const std::filesystem::path& folder, const std::vector<std::string>& become);
    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;

    /// Has everything stopped and removed, and waits for it, for at most 20 s.
    ~watchdog();

    /// Runs one line of shell and returns its exit status.
    /// Throws: cluster_error when the answer does not come in time, or the watchdog is gone.
    int run(const std::string& line, std::chrono::milliseconds deadline);

    /// Starts the server in the background: its pid goes to the file `pid`, its output to `server.log`; the
    /// file `exited` appears once it has ended.
    void start_server(const std::string& command, std::chrono::milliseconds deadline);

    /// Kills every process that works in the data directory, and returns once all are gone.
    void kill_server(std::chrono::milliseconds deadline);

private:
    int socket_ = -1;
    pid_t owner_ = 0;
};

} // namespace tenon::testing
