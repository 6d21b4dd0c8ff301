// tenon's events as Prometheus metrics, by prometheus-cpp. Opt-in: link tenon::prometheus.
//
//     auto metrics = std::make_shared<tenon::prometheus_observer>();
//     tenon::pool db{conninfo, {.name = "orders", .connection = {.observer = metrics}}};
//     metrics->watch("orders", db); // its gauges, until unwatch("orders"), which comes before the pool's end
//
//     prometheus::Exposer exposer{"127.0.0.1:9187"}; // answers GET /metrics; of prometheus-cpp::pull
//     exposer.RegisterCollectable(metrics);
//
// A program that has an HTTP server already answers with prometheus::TextSerializer{}.Serialize(metrics->Collect()).
//
// Metrics and labels are OpenTelemetry's names for databases (semantic conventions 1.44) in Prometheus' form; what
// OpenTelemetry has no name for begins with tenon_. tests/prometheus/metric_names.txt lists them all.
//
// Labels are the pool's name, operation and collection of a repository, SQLSTATE, an election's name and region, and
// the few words of error_type, state, outcome and cause: all of them come from code, so the number of series is
// bounded, and no statement text, error message or parameter value is among them. A label that does not apply is empty.
//
// Safe to share between threads. An event that is known costs one lookup in a hash table under a shared lock.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <tenon/core/observer.hpp>
#include <tenon/pg/pool.hpp>

namespace tenon {

class prometheus_observer final : public observer, public ::prometheus::Collectable {
public:
    prometheus_observer();
    ~prometheus_observer() override;

    /// Reads `db` at each scrape, as db_client_connection_count, _max and _pending_requests. `name` is its
    /// pool_options::name, so that gauges and events share their label. A name that is watched already changes to this
    /// pool. Throws: std::bad_alloc.
    void watch(std::string name, const pool& db);

    /// The gauges of `name` end; nothing happens when it is not watched. Guarantees: no scrape reads the pool once
    /// this has returned, so call it before the pool is destroyed.
    void unwatch(std::string_view name) noexcept;

    /// What a scrape sees: the series there has been an event for, and of watched pools the gauges and, from 0 on, the
    /// counters. For prometheus-cpp; safe to call at any time. Throws: std::bad_alloc.
    [[nodiscard]] std::vector<::prometheus::MetricFamily> Collect() const override;

    // Events. One that memory is short for is not counted.

    /// The wait, of those that got a connection; the others are timeouts.
    void acquired(const acquire_event& event) noexcept override;
    void released(const release_event& event) noexcept override;
    /// The time to create, of sessions that were opened; the others are failures.
    void connected(const connect_event& event) noexcept override;
    /// Durations of all statements and rows of those that succeeded. A failure's error_type is its SQLSTATE, or
    /// "_OTHER" where the server has sent none, as when the connection was lost.
    void executed(const statement_event& event) noexcept override;
    void ended(const transaction_event& event) noexcept override;
    void retried(const retry_event& event) noexcept override;
    void leaked(const leak_event& event) noexcept override;
    /// All series of an election begin with its first event; a process that has never led has none.
    void elected(const elected_event& event) noexcept override;
    /// What is true of leaders only, margin and candidates, is 0 from then on; the term stays this process's last one.
    void deposed(const deposed_event& event) noexcept override;
    void heartbeat(const heartbeat_event& event) noexcept override;
    void fenced(const fence_event& event) noexcept override;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace tenon
