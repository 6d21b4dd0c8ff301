#include <tenon/prometheus/prometheus_observer.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <prometheus/text_serializer.h>

#include <tenon/core/error.hpp>
#include <tenon/testing/test_database.hpp>

using namespace tenon;
using namespace std::chrono_literals;

namespace {

using labels = std::map<std::string, std::string>;

statement_event success(std::string_view operation, std::chrono::nanoseconds duration) {
    return {.pool = "orders",
            .operation = operation,
            .collection = "users",
            .response_status = "",
            .failed = false,
            .duration = duration,
            .wait = 0ns,
            .rows = 1,
            .role = host_role::primary};
}

statement_event failure(std::string_view sqlstate) {
    auto event = success("insert into", 2ms);
    event.response_status = sqlstate;
    event.failed = true;
    return event;
}

constexpr elected_event first_term{
    .election = "scheduler", .region = "east", .candidate = "secret-host/1", .timeline = 1, .term = 7, .campaign = 1s};

constexpr deposed_event end_of(const elected_event& won, term_end cause) {
    return {.election = won.election,
            .region = won.region,
            .candidate = won.candidate,
            .term = won.term,
            .cause = cause,
            .reason = "terminating secret connection",
            .held = 1h};
}

void tell_election(observer& told) {
    told.elected(first_term);
    told.heartbeat({.election = "scheduler", .region = "east", .round_trip = 2ms, .margin = 6500ms, .candidates = 3});
    told.fenced({.election = "scheduler", .region = "east", .term = 7});
    told.deposed(end_of(first_term, term_end::fenced_out));
}

// One event of each kind and of each outcome.
void tell_everything(observer& told) {
    told.acquired({.pool = "orders", .wait = 1ms, .timed_out = false});
    told.acquired({.pool = "orders", .wait = 5s, .timed_out = true});
    told.released({.pool = "orders", .use = 1ms});
    told.connected({.pool = "orders", .create = 1ms, .error = "", .response_status = "", .role = host_role::primary});
    told.connected({.pool = "orders",
                    .create = 1ms,
                    .error = "password of secret-user is wrong",
                    .response_status = "28P01",
                    .role = host_role::unknown});
    told.executed(success("select", 1ms));
    told.executed(failure("23505"));
    for (const auto outcome :
         {transaction_event::end::committed, transaction_event::end::rolled_back, transaction_event::end::unknown}) {
        told.ended({.pool = "orders", .outcome = outcome, .duration = 1ms});
    }
    told.retried({.pool = "main", .attempt = 1, .response_status = "40001", .pause = 10ms});
    told.leaked({.pool = "orders", .file = "/secret/path.cpp", .line = 1, .held = 60s});
    tell_election(told);
}

std::string exposition(const prometheus_observer& observer) {
    std::ostringstream text;
    ::prometheus::TextSerializer{}.Serialize(text, observer.Collect());
    return text.str();
}

// A label of the format is name="value", the values here hold no quotes; `le` belongs to the format.
labels labels_of(const std::string& sample) {
    labels found;
    auto at = sample.find('{');
    while (at != std::string::npos && sample[at] != '}') {
        const auto equals = sample.find('=', at);
        const auto end = sample.find('"', equals + 2);
        found.emplace(sample.substr(at + 1, equals - at - 1), sample.substr(equals + 2, end - equals - 2));
        at = end + 1;
    }
    found.erase("le");
    return found;
}

// Each family as "name type label,label".
std::string names_in(const std::string& exposition) {
    std::map<std::string, std::string> type;
    std::map<std::string, std::set<std::string>> label_lists;
    std::istringstream lines(exposition);
    std::string family;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# TYPE ")) {
            std::istringstream words(line.substr(7));
            words >> family >> type[family];
        } else if (!line.starts_with('#')) {
            REQUIRE(line.starts_with(family));
            std::string names;
            for (const auto& [name, value] : labels_of(line))
                names += (names.empty() ? "" : ",") + name;
            label_lists[family].insert(names);
        }
    }
    std::string text;
    for (const auto& [name, lists] : label_lists) {
        INFO(name << ": the labels of a family's series must be the same");
        CHECK(lists.size() == 1);
        text += name + ' ' + type.at(name) + ' ' + *lists.begin() + '\n';
    }
    CHECK(label_lists.size() == type.size()); // no family without a sample
    return text;
}

// The sample called `name` that has these labels among its own.
std::optional<double> value(const prometheus_observer& observer, const std::string& name, const labels& wanted) {
    std::istringstream lines(exposition(observer));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(name + '{')) {
            const auto all = labels_of(line);
            if (std::includes(all.begin(), all.end(), wanted.begin(), wanted.end()))
                return std::stod(line.substr(line.rfind(' ')));
        }
    }
    return std::nullopt;
}

::prometheus::ClientMetric::Histogram histogram(const prometheus_observer& observer, const std::string& name) {
    for (const auto& family : observer.Collect()) {
        if (family.name == name) {
            REQUIRE(family.metric.size() == 1);
            return family.metric.front().histogram;
        }
    }
    throw std::runtime_error("there is no " + name);
}

// The upper bound of the bucket that the only observation is in.
double bucket(const ::prometheus::ClientMetric::Histogram& histogram) {
    REQUIRE(histogram.sample_count == 1);
    return std::ranges::find(histogram.bucket, 1U, &::prometheus::ClientMetric::Bucket::cumulative_count)->upper_bound;
}

} // namespace

TEST_CASE("names, types and labels of all metrics are those that dashboards were built on") {
    prometheus_observer observer;
    const pool unused{"host=/nonexistent"};
    observer.watch("orders", unused);

    tell_everything(observer);

    std::ifstream file(TENON_METRIC_NAMES);
    std::ostringstream golden;
    golden << file.rdbuf();
    CHECK(names_in(exposition(observer)) == golden.str());
}

TEST_CASE("a duration lands in its bucket, in seconds") {
    struct {
        std::chrono::nanoseconds duration;
        double upper_bound;
    } const cases[]{{0ns, 0.001}, {1ms, 0.001}, {1'000'001ns, 0.005}, {7ms, 0.01},
                    {49ms, 0.05}, {51ms, 0.1},  {500ms, 0.5},         {999ms, 1},
                    {2s, 5},      {10s, 10},    {11s, INFINITY}};
    for (const auto& [duration, upper_bound] : cases) {
        INFO(duration.count() << " ns");
        prometheus_observer observer;
        observer.executed(success("select", duration));

        const auto durations = histogram(observer, "db_client_operation_duration_seconds");

        CHECK(bucket(durations) == upper_bound);
        CHECK(std::abs(durations.sample_sum - std::chrono::duration<double>(duration).count()) < 1e-12);
    }
}

TEST_CASE("each time goes to its own histogram") {
    prometheus_observer observer;
    observer.acquired({.pool = "orders", .wait = 2ms, .timed_out = false});
    observer.released({.pool = "orders", .use = 20ms});
    observer.connected({.pool = "orders", .create = 200ms, .error = "", .response_status = "", .role = {}});
    observer.ended({.pool = "orders", .outcome = transaction_event::end::committed, .duration = 2s});

    CHECK(bucket(histogram(observer, "db_client_connection_wait_time_seconds")) == 0.005);
    CHECK(bucket(histogram(observer, "db_client_connection_use_time_seconds")) == 0.05);
    CHECK(bucket(histogram(observer, "db_client_connection_create_time_seconds")) == 0.5);
    CHECK(bucket(histogram(observer, "tenon_transaction_duration_seconds")) == 5);
}

TEST_CASE("returned rows are counted for statements that succeeded") {
    prometheus_observer observer;
    auto event = success("select", 1ms);
    event.rows = 30;
    observer.executed(event);
    observer.executed(failure("57014"));

    CHECK(bucket(histogram(observer, "db_client_response_returned_rows")) == 50);
}

TEST_CASE("a failed statement carries its SQLSTATE") {
    prometheus_observer observer;
    observer.executed(success("insert into", 1ms));
    observer.executed(failure("23505"));
    observer.executed(failure("23505"));
    observer.executed(failure("40001"));

    const std::string count = "db_client_operation_duration_seconds_count";
    CHECK(value(observer, count, {{"db_response_status_code", ""}, {"error_type", ""}}) == 1);
    CHECK(value(observer, count, {{"db_response_status_code", "23505"}, {"error_type", "23505"}}) == 2);
    CHECK(value(observer, count, {{"db_response_status_code", "40001"}, {"error_type", "40001"}}) == 1);
}

TEST_CASE("a statement that lost its connection counts as failed, though it has no SQLSTATE") {
    prometheus_observer observer;
    observer.executed(failure(""));

    const std::string count = "db_client_operation_duration_seconds_count";
    CHECK(value(observer, count, {{"db_response_status_code", ""}, {"error_type", "_OTHER"}}) == 1);
    CHECK_FALSE(value(observer, count, {{"error_type", ""}}));
}

TEST_CASE("statements are told apart by pool, operation and collection") {
    prometheus_observer observer;
    observer.executed(success("select", 1ms));
    observer.executed(success("select", 1ms));
    observer.executed(success("update", 1ms));
    auto elsewhere = success("select", 1ms);
    elsewhere.pool = "users"; // the same words as above, in other places
    elsewhere.collection = "orders";
    observer.executed(elsewhere);

    const std::string count = "db_client_operation_duration_seconds_count";
    const auto of = [&](const char* pool, const char* operation, const char* collection) {
        return value(observer, count,
                     {{"db_client_connection_pool_name", pool},
                      {"db_operation_name", operation},
                      {"db_collection_name", collection}});
    };
    CHECK(of("orders", "select", "users") == 2);
    CHECK(of("orders", "update", "users") == 1);
    CHECK(of("users", "select", "orders") == 1);
    CHECK_FALSE(of("users", "update", "orders"));
}

TEST_CASE("a borrower that gave up is a timeout and no wait time") {
    prometheus_observer observer;
    observer.acquired({.pool = "orders", .wait = 5s, .timed_out = true});

    CHECK(value(observer, "db_client_connection_timeouts_total", {}) == 1);
    CHECK(histogram(observer, "db_client_connection_wait_time_seconds").sample_count == 0);
}

TEST_CASE("a refused session is a failure with its SQLSTATE and no create time") {
    prometheus_observer observer;
    observer.connected({.pool = "orders", .create = 1ms, .error = "refused", .response_status = "53300", .role = {}});
    observer.connected({.pool = "orders", .create = 1ms, .error = "no route", .response_status = "", .role = {}});

    CHECK(value(observer, "tenon_connect_failures_total", {{"db_response_status_code", "53300"}}) == 1);
    CHECK(value(observer, "tenon_connect_failures_total", {{"db_response_status_code", ""}}) == 1);
    CHECK(exposition(observer).find("create_time") == std::string::npos);
}

TEST_CASE("transactions are counted by how they ended") {
    prometheus_observer observer;
    using enum transaction_event::end;
    for (const auto outcome : {committed, committed, committed, rolled_back, rolled_back, unknown}) {
        observer.ended({.pool = "orders", .outcome = outcome, .duration = 1ms});
    }

    CHECK(value(observer, "tenon_transactions_total", {{"outcome", "committed"}}) == 3);
    CHECK(value(observer, "tenon_transactions_total", {{"outcome", "rolled_back"}}) == 2);
    CHECK(value(observer, "tenon_transactions_total", {{"outcome", "unknown"}}) == 1);
    CHECK(value(observer, "tenon_transaction_duration_seconds_count", {}) == 6);
}

TEST_CASE("retries are counted by their cause, leaks by their pool") {
    prometheus_observer observer;
    observer.retried({.pool = "main", .attempt = 1, .response_status = "40001", .pause = 10ms});
    observer.retried({.pool = "main", .attempt = 2, .response_status = "40001", .pause = 20ms});
    observer.retried({.pool = "main", .attempt = 1, .response_status = "40P01", .pause = 10ms});
    observer.leaked({.pool = "orders", .file = "a.cpp", .line = 1, .held = 60s});

    CHECK(value(observer, "tenon_retries_total",
                {{"db_client_connection_pool_name", "main"}, {"db_response_status_code", "40001"}}) == 2);
    CHECK(value(observer, "tenon_retries_total",
                {{"db_client_connection_pool_name", "main"}, {"db_response_status_code", "40P01"}}) == 1);
    CHECK(value(observer, "tenon_connection_leaks_total", {{"db_client_connection_pool_name", "orders"}}) == 1);
}

TEST_CASE("a leader shows that it leads, since which term, and how its heartbeats fare") {
    prometheus_observer observer;
    observer.elected(first_term);
    CHECK(value(observer, "tenon_election_leader", {}) == 1);
    CHECK(value(observer, "tenon_election_term", {}) == 7);

    observer.heartbeat(
        {.election = "scheduler", .region = "east", .round_trip = 2ms, .margin = 6500ms, .candidates = 3});
    CHECK(bucket(histogram(observer, "tenon_election_heartbeat_seconds")) == 0.005);
    CHECK(value(observer, "tenon_election_margin_seconds", {}) == 6.5);
    CHECK(value(observer, "tenon_election_candidates", {}) == 3);
}

TEST_CASE("a leader that was deposed shows what is true of leaders no more") {
    prometheus_observer observer;
    tell_election(observer);

    CHECK(value(observer, "tenon_election_leader", {}) == 0);
    CHECK(value(observer, "tenon_election_margin_seconds", {}) == 0);
    CHECK(value(observer, "tenon_election_candidates", {}) == 0);
    CHECK(value(observer, "tenon_election_term", {}) == 7);
    CHECK(value(observer, "tenon_election_fence_rejections_total", {}) == 1);
}

TEST_CASE("a term whose end is told after the next one began does not hide it") {
    prometheus_observer observer;
    auto next_term = first_term;
    next_term.term = 8;
    observer.elected(first_term);
    observer.elected(next_term); // by another candidate of this process
    observer.deposed(end_of(first_term, term_end::resigned));

    CHECK(value(observer, "tenon_election_leader", {}) == 1);
}

TEST_CASE("terms that began and that ended are counted by cause, from 0 on") {
    prometheus_observer observer;
    const auto count = [&](const char* cause) {
        return value(observer, "tenon_election_transitions_total", {{"cause", cause}});
    };
    observer.elected(first_term);
    for (const char* const cause :
         {"resigned", "stopped", "preferred", "excluded", "session_lost", "lease_ran_out", "fenced_out"})
        CHECK(count(cause) == 0);
    using enum term_end;
    const std::map<std::string, term_end> causes{{"resigned", resigned},         {"stopped", stopped},
                                                 {"preferred", preferred},       {"excluded", excluded},
                                                 {"session_lost", session_lost}, {"lease_ran_out", lease_ran_out},
                                                 {"fenced_out", fenced_out}};
    for (const auto& [name, cause] : causes) {
        INFO(name);
        observer.deposed(end_of(first_term, cause));
        CHECK(count(name.c_str()) == 1);
    }
    CHECK(count("elected") == 1);
}

TEST_CASE("elections are told apart by name and region") {
    prometheus_observer observer;
    auto west = first_term;
    west.region = "west";
    west.term = 2;
    observer.elected(first_term);
    observer.elected(west);
    observer.deposed(end_of(first_term, term_end::resigned));

    const auto of = [&](const char* name, const char* region) {
        return value(observer, name, {{"tenon_election_name", "scheduler"}, {"tenon_election_region", region}});
    };
    CHECK(of("tenon_election_leader", "east") == 0);
    CHECK(of("tenon_election_leader", "west") == 1);
    CHECK(of("tenon_election_term", "east") == 7);
    CHECK(of("tenon_election_term", "west") == 2);
}

TEST_CASE("events of four threads are all counted, and scrapes at the same time see whole families") {
    prometheus_observer observer;
    constexpr int each = 1000;
    std::vector<std::string> operations; // many, so that the threads meet at new series too
    operations.reserve(200);
    for (int i = 0; i < 200; ++i)
        operations.push_back("operation " + std::to_string(i));
    {
        std::vector<std::jthread> threads;
        threads.reserve(4);
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                for (int i = 0; i < each; ++i) {
                    observer.executed(success(operations[static_cast<std::size_t>(i) % operations.size()], 1ms));
                    observer.acquired({.pool = "orders", .wait = 1ms, .timed_out = i % 2 == 0});
                    observer.ended({.pool = "orders", .outcome = {}, .duration = 1ms});
                }
            });
        }
        for (int scrape = 0; scrape < 50; ++scrape)
            (void)observer.Collect();
    }

    for (const auto& family : observer.Collect()) {
        if (family.name == "db_client_operation_duration_seconds") {
            CHECK(family.metric.size() == operations.size());
            for (const auto& metric : family.metric)
                CHECK(metric.histogram.sample_count == 20); // 4 times 1000 over 200 operations
        }
    }
    CHECK(value(observer, "db_client_connection_timeouts_total", {}) == 2 * each);
    CHECK(value(observer, "db_client_connection_wait_time_seconds_count", {}) == 2 * each);
    CHECK(value(observer, "tenon_transactions_total", {{"outcome", "committed"}}) == 4 * each);
}

TEST_CASE("label values are the names and codes of events, never their messages and places") {
    prometheus_observer observer;
    tell_everything(observer);

    std::set<std::string> seen;
    std::istringstream lines(exposition(observer));
    for (std::string line; std::getline(lines, line);) {
        for (const auto& [name, value] : labels_of(line))
            seen.insert(value);
    }

    CHECK(seen ==
          std::set<std::string>{"",          "main",         "orders",        "users",     "select",      "insert into",
                                "23505",     "28P01",        "40001",         "committed", "rolled_back", "unknown",
                                "scheduler", "east",         "elected",       "resigned",  "stopped",     "preferred",
                                "excluded",  "session_lost", "lease_ran_out", "fenced_out"});
    CHECK(exposition(observer).find("secret") == std::string::npos);
}

TEST_CASE("a watched pool shows its connections, its limit and its queue as they are at the scrape") {
    const testing::test_database database;
    pool db{database.url(), {.max_size = 1}};
    prometheus_observer observer;
    observer.watch("orders", db);
    const auto count = [&](const char* state) {
        return value(observer, "db_client_connection_count", {{"db_client_connection_state", state}});
    };

    CHECK(value(observer, "db_client_connection_max", {{"db_client_connection_pool_name", "orders"}}) == 1);
    CHECK(count("used") == 0);
    CHECK(count("idle") == 0);
    {
        auto lent = std::make_unique<connection>(db.acquire());
        CHECK(count("used") == 1);
        CHECK(count("idle") == 0);

        auto waiter = std::async(std::launch::async, [&] { (void)db.acquire(60s); });
        while (db.status().waiting == 0 && waiter.wait_for(1ms) == std::future_status::timeout) {
        }
        CHECK(value(observer, "db_client_connection_pending_requests", {}) == 1);
        lent.reset();
        CHECK_NOTHROW(waiter.get());
    }
    CHECK(count("used") == 0);
    CHECK(count("idle") == 1);
    CHECK(value(observer, "db_client_connection_pending_requests", {}) == 0);
}

TEST_CASE("a watched pool's counters are there from 0 on") {
    const pool unused{"host=/nonexistent"};
    prometheus_observer observer;
    observer.watch("orders", unused);

    CHECK(value(observer, "db_client_connection_timeouts_total", {{"db_client_connection_pool_name", "orders"}}) == 0);
    CHECK(value(observer, "tenon_connection_leaks_total", {{"db_client_connection_pool_name", "orders"}}) == 0);
    CHECK(value(observer, "tenon_transactions_total", {{"outcome", "unknown"}}) == 0);
}

TEST_CASE("a pool that is no longer watched is not asked again") {
    prometheus_observer observer;
    {
        const pool gone{"host=/nonexistent"};
        const pool later{"host=/nonexistent", {.max_size = 9}};
        observer.watch("orders", gone);
        observer.watch("orders", later);
        CHECK(value(observer, "db_client_connection_max", {}) == 9);
        observer.unwatch("orders");
        observer.unwatch("orders");
    }

    CHECK(exposition(observer).find("db_client_connection_max") == std::string::npos);
}

TEST_CASE("nothing that is watched and no event is an empty exposition") {
    const prometheus_observer observer;

    CHECK(exposition(observer).empty());
}
