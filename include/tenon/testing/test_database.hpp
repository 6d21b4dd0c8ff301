#pragma once

/// A database of its own for one test: created on construction, dropped WITH (FORCE) on destruction.
///
///     tenon::testing::test_database database{{.prepare = migrate, .key = "schema-v1"}};
///     tenon::pool db{database.url()};
///
/// It lives on a given cluster, else on the server that the environment variable TENON_TEST_URL names, else on
/// `shared_cluster()`. On a server named by TENON_TEST_URL, a database whose scope is left by an exception (as
/// a failed Catch2 REQUIRE does) is kept, and its name and a psql command are printed to stderr. On an
/// ephemeral cluster, also one of another process, it is dropped all the same, since the server would not outlive
/// the tests.
///
/// One thread uses one object; many objects may be made and dropped at once, also by many processes.

#include <functional>
#include <string>

#include <tenon/testing/cluster.hpp>

namespace tenon::testing {

struct test_database_options {
    /// Brings a database to the state the test starts from, through a connection string for it. It has to
    /// close its connections before it returns. Empty: the database starts empty.
    std::function<void(const std::string& url)> prepare{};

    /// Names what `prepare` makes. With a key, `prepare` runs once per server, in a template that databases of
    /// the same key are cloned from, in about 15 ms each. On a server that outlives the process the template
    /// stays, so the key has to change whenever the outcome of `prepare` does. Empty: `prepare` runs each time.
    std::string key{};

    /// The start of the database's name, at most 40 characters are used; a random suffix follows.
    /// Empty: file and line of the caller.
    std::string name{};
};

class test_database {
public:
    /// Throws: cluster_error when the server cannot be reached or refuses; whatever `prepare` throws.
    /// `file` and `line` are the caller's and only serve the name.
    explicit test_database(const test_database_options& options = {}, const char* file = __builtin_FILE(),
                           int line = __builtin_LINE());
    explicit test_database(const cluster& server, const test_database_options& options = {},
                           const char* file = __builtin_FILE(), int line = __builtin_LINE());

    test_database(const test_database&) = delete;
    test_database& operator=(const test_database&) = delete;
    ~test_database();

    /// What libpq needs to connect to it.
    [[nodiscard]] const std::string& url() const noexcept { return url_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Leaves the database in place on destruction and prints its name and a psql command to stderr then.
    /// On an ephemeral cluster it stays until the cluster goes.
    void keep() noexcept { keep_ = true; }

private:
    test_database(const std::string& server_url, bool persistent, const test_database_options& options,
                  const char* file, int line);

    std::string server_url_;
    std::string name_;
    std::string url_;
    bool persistent_;
    bool keep_ = false;
    int exceptions_at_start_;
};

} // namespace tenon::testing
