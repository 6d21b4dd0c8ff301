// The server that the tests of a ctest run share: tenon_test_server start|stop FOLDER
//
// `start` returns when FOLDER/url names a server, and FOLDER/initdb a data directory as initdb made it, which the
// clusters of the tests copy. Both are kept by a process of its own, for as long as a ctest that asked for them runs:
// its parent, whose end it notices, however that comes about. `stop` says that this ctest needs it no more, and returns
// when it has gone, unless another ctest of the same folder still uses it.
//
// FOLDER/users holds a file for each ctest; FOLDER/lock is held to look at them or change them, FOLDER/alive by the
// server's process.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <tenon/testing/cluster.hpp>

namespace {

namespace fs = std::filesystem;

// An exclusive lock on a file, given up by the destructor or the end of the process.
class file_lock {
public:
    explicit file_lock(const fs::path& file) : file_(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
        if (file_ < 0 || ::flock(file_, LOCK_EX) != 0)
            throw std::runtime_error("cannot lock " + file.string());
    }
    file_lock(const file_lock&) = delete;
    file_lock& operator=(const file_lock&) = delete;
    ~file_lock() { ::close(file_); }

    static bool is_held(const fs::path& file) {
        const int probe = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
        const bool held = probe >= 0 && ::flock(probe, LOCK_EX | LOCK_NB) != 0;
        if (probe >= 0)
            ::close(probe);
        return held;
    }

private:
    int file_;
};

// "<pid>-<start time>" of a process that runs, else empty: a pid alone may be another process's by now. The start time
// is the 20th word behind the name (proc(5), /proc/pid/stat).
std::string identity(const std::string& pid) {
    std::ifstream file{"/proc/" + pid + "/stat"};
    std::string line;
    std::getline(file, line);
    const std::size_t name_end = line.rfind(") ");
    if (name_end == std::string::npos || line[name_end + 2] == 'Z')
        return {};
    std::size_t word = name_end + 2;
    for (int i = 0; i < 19 && word != std::string::npos; ++i)
        word = line.find(' ', word + 1);
    return word == std::string::npos ? std::string{}
                                     : pid + "-" + line.substr(word + 1, line.find(' ', word + 1) - word - 1);
}

class shared_server {
public:
    explicit shared_server(fs::path folder) : folder_(std::move(folder)) { fs::create_directories(folder_ / "users"); }

    void start() {
        const file_lock lock{folder_ / "lock"};
        std::ofstream{user()};
        if (fs::exists(folder_ / "url") && file_lock::is_held(folder_ / "alive"))
            return;
        fs::remove(folder_ / "url");
        const pid_t child = ::fork();
        if (child == 0) {
            ::execl("/proc/self/exe", "tenon_test_server", "keep", folder_.c_str(), nullptr);
            ::_exit(127);
        }
        while (!fs::exists(folder_ / "url")) {
            if (child < 0 || identity(std::to_string(child)).empty()) {
                std::ifstream log{folder_ / "log"};
                std::cerr << log.rdbuf();
                throw std::runtime_error("the tests' server did not start");
            }
            std::this_thread::sleep_for(look_every / 10);
        }
    }

    void stop() {
        {
            const file_lock lock{folder_ / "lock"};
            fs::remove(user());
            if (is_used())
                return;
        }
        const file_lock gone{folder_ / "alive"};
    }

    // The server's process. In a session of its own: a Ctrl-C is for ctest. Its output must not be ctest's, which waits
    // for the end of that.
    void keep() const {
        ::setsid();
        const int nothing = ::open("/dev/null", O_RDONLY);
        const int log = ::open((folder_ / "log").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        ::dup2(nothing, STDIN_FILENO);
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        const file_lock alive{folder_ / "alive"};
        serve();
    }

private:
    static constexpr std::chrono::milliseconds look_every{100};

    // ctest runs us without a shell between.
    [[nodiscard]] fs::path user() const { return folder_ / "users" / identity(std::to_string(::getppid())); }

    [[nodiscard]] bool is_used() const {
        bool used = false;
        for (const fs::directory_entry& each : fs::directory_iterator{folder_ / "users"}) {
            const std::string name = each.path().filename().string();
            if (identity(name.substr(0, name.find('-'))) == name)
                used = true;
            else
                fs::remove(each);
        }
        return used;
    }

    void serve() const {
        using tenon::testing::cluster;
        cluster made;
        made.stop();
        fs::remove(folder_ / "initdb");
        fs::create_directory_symlink(made.data_directory(), folder_ / "initdb");
        ::setenv("TENON_PG_INITDB", (folder_ / "initdb").c_str(), 1);
        const cluster server{{.settings = {{"max_connections", "400"}}}};
        std::ofstream{folder_ / "url.new"} << server.url() << '\n';
        fs::rename(folder_ / "url.new", folder_ / "url");
        for (;;) {
            std::this_thread::sleep_for(look_every);
            const file_lock lock{folder_ / "lock"};
            if (is_used())
                continue;
            fs::remove(folder_ / "url");
            fs::remove(folder_ / "initdb");
            return;
        }
    }

    fs::path folder_;
};

} // namespace

int main(int argc, char** argv) try {
    const std::string_view what = argc == 3 ? argv[1] : "";
    if (what == "start")
        shared_server{argv[2]}.start();
    else if (what == "stop")
        shared_server{argv[2]}.stop();
    else if (what == "keep") // for itself
        shared_server{argv[2]}.keep();
    else {
        std::cerr << "usage: tenon_test_server start|stop FOLDER\n";
        return 2;
    }
    return 0;
} catch (const std::exception& failure) {
    std::cerr << failure.what() << '\n';
    return 1;
}
