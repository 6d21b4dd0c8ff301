#include <tenon/testing/test_database.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <random>
#include <string_view>
#include <thread>

#include "admin_session.hpp"

namespace tenon::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string hexadecimal(std::uint64_t number) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
    return {digits.data(), end.ptr};
}

// FNV-1a, since a template's name has to be the same in every process and standard library.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return hash;
}

std::string fresh_name(const std::string& wanted, const char* file, int line) {
    std::string name = wanted;
    if (name.empty())
        name = std::filesystem::path{file}.stem().string() + "_" + std::to_string(line);
    name = name.substr(0, 40);
    for (char& c : name) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
        else if (!letter)
            c = '_';
    }
    std::random_device device;
    const std::uint64_t high = std::uniform_int_distribution<std::uint32_t>{}(device);
    const std::uint64_t low = std::uniform_int_distribution<std::uint32_t>{}(device);
    return name + "_" + hexadecimal((high << 32U) | low);
}

const char* named_server() {
    const char* url = std::getenv("TENON_TEST_URL");
    return url != nullptr && *url != '\0' ? url : nullptr;
}

// A backend outlives its client's goodbye by some 1 ms; CREATE DATABASE ... TEMPLATE and DROP DATABASE would
// meet it and sleep for 100 ms. What is still there after `patience` is not about to leave.
void await_departures(admin_session& session, const std::string& database, milliseconds patience) {
    const auto until = steady_clock::now() + patience;
    while (session.query("SELECT 1 FROM pg_catalog.pg_stat_activity WHERE datname OPERATOR(pg_catalog.=) $1",
                         {database}) == "1" &&
           steady_clock::now() < until)
        std::this_thread::sleep_for(milliseconds{1});
}

void drop_database(admin_session& session, const std::string& database) {
    await_departures(session, database, milliseconds{20});
    session.query("DROP DATABASE IF EXISTS " + session.quote(database) + " WITH (FORCE)");
}

bool is_ephemeral(admin_session& session) {
    return session.query("SELECT pg_catalog.current_setting('tenon.ephemeral', true)") == "on";
}

// A finished template is marked by datistemplate, which is set last.
bool has_template(admin_session& session, const std::string& name) {
    return session.query(
               "SELECT 1 FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) $1 AND datistemplate",
               {name}) == "1";
}

// Makes the template that `options.key` names, unless it is there. One maker at a time, over all processes.
std::string ensure_template(const std::string& server_url, const test_database_options& options) {
    const std::uint64_t hash = hash_of(options.key);
    const std::string name = "tenon_template_" + hexadecimal(hash);
    admin_session session{server_url};
    if (has_template(session, name))
        return name;

    const std::string lock = std::to_string(static_cast<std::int64_t>(hash));
    const auto until = steady_clock::now() + std::chrono::minutes{5};
    while (session.query("SELECT pg_catalog.pg_try_advisory_lock($1)", {lock}) != "t") {
        if (steady_clock::now() > until)
            throw cluster_error{"another process has been preparing the template database " + name +
                                " for 5 minutes; end it and try again"};
        std::this_thread::sleep_for(milliseconds{5});
    }
    if (has_template(session, name))
        return name;

    session.query("DROP DATABASE IF EXISTS " + session.quote(name) + " WITH (FORCE)");
    session.query("CREATE DATABASE " + session.quote(name) + " TEMPLATE template0 STRATEGY FILE_COPY");
    try {
        options.prepare(with_database(server_url, name));
    } catch (...) {
        drop_database(session, name);
        throw;
    }
    await_departures(session, name, milliseconds{1000});
    session.query("ALTER DATABASE " + session.quote(name) + " WITH ALLOW_CONNECTIONS false IS_TEMPLATE true");
    return name;
}

} // namespace

test_database::test_database(const test_database_options& options, const char* file, int line)
    : test_database{named_server() != nullptr ? named_server() : shared_cluster().url(), named_server() != nullptr,
                    options, file, line} {}

test_database::test_database(const cluster& server, const test_database_options& options, const char* file, int line)
    : test_database{server.url(), false, options, file, line} {}

test_database::test_database(const std::string& server_url, bool persistent, const test_database_options& options,
                             const char* file, int line)
    : server_url_{server_url},
      name_{fresh_name(options.name, file, line)},
      url_{with_database(server_url, name_)},
      persistent_{persistent},
      exceptions_at_start_{std::uncaught_exceptions()} {
    const bool cloned = options.prepare && !options.key.empty();
    const std::string source = cloned ? ensure_template(server_url_, options) : "template0";
    admin_session session{server_url_};
    session.query("CREATE DATABASE " + session.quote(name_) + " TEMPLATE " + session.quote(source) +
                  " STRATEGY FILE_COPY");
    if (options.prepare && !cloned) {
        try {
            options.prepare(url_);
        } catch (...) {
            drop_database(session, name_);
            throw;
        }
    }
}

test_database::~test_database() {
    const bool failed = std::uncaught_exceptions() > exceptions_at_start_;
    try {
        if (!keep_) {
            admin_session session{server_url_};
            keep_ = failed && persistent_ && !is_ephemeral(session);
            if (!keep_) {
                drop_database(session, name_);
                return;
            }
        }
        std::fprintf(stderr, "kept the test database %s:\n    psql \"%s\"\n", name_.c_str(),
                     without_password(url_).c_str());
    } catch (const std::exception& error) {
        // A crashed or stopped server is what some tests end with; its databases go with it.
        if (persistent_)
            std::fprintf(stderr, "could not drop the test database %s: %s\n", name_.c_str(), error.what());
    }
}

} // namespace tenon::testing
