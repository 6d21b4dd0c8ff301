#include <tenon/prometheus/prometheus_observer.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/labels.h>
#include <prometheus/registry.h>

namespace tenon {
namespace {

using ::prometheus::Counter;
using ::prometheus::Family;
using ::prometheus::Gauge;
using ::prometheus::Histogram;
using ::prometheus::Labels;
using ::prometheus::MetricFamily;

constexpr const char* pool_label = "db_client_connection_pool_name";
constexpr const char* state_label = "db_client_connection_state";
constexpr const char* operation_label = "db_operation_name";
constexpr const char* collection_label = "db_collection_name";
constexpr const char* status_label = "db_response_status_code";
constexpr const char* error_label = "error_type";
constexpr const char* outcome_label = "outcome";
constexpr const char* election_label = "tenon_election_name";
constexpr const char* region_label = "tenon_election_region";
constexpr const char* cause_label = "cause";

// The conventions' own value for an error that has no low-cardinality name.
constexpr std::string_view other_error = "_OTHER";

double seconds(std::chrono::nanoseconds time) {
    return std::chrono::duration<double>(time).count();
}

// What is found by its label values. prometheus-cpp's own lookup builds a map of strings for each event; this one
// hashes the views that the event holds. Nothing is ever removed, so a reference stays valid.
template <std::size_t Size, class Series>
class series_table {
public:
    using key = std::array<std::string_view, Size>;

    // The series of these label values; make(values) is called for new ones.
    template <class Make>
    Series& get(const key& values, const Make& make) {
        {
            const std::shared_lock lock(mutex_);
            if (const auto known = series_.find(values); known != series_.end())
                return known->second;
        }
        std::array<std::string, Size> owned;
        for (std::size_t i = 0; i < Size; ++i)
            owned[i] = values[i];
        const std::unique_lock lock(mutex_);
        if (const auto known = series_.find(values); known != series_.end())
            return known->second;
        Series made = make(owned);
        return series_.emplace(std::move(owned), std::move(made)).first->second;
    }

private:
    struct hash {
        using is_transparent = void;
        std::size_t operator()(const auto& values) const noexcept {
            std::size_t seed = 0;
            for (const std::string_view value : values) {
                seed = (seed ^ std::hash<std::string_view>{}(value)) * 0x9e3779b97f4a7c15U; // order counts
            }
            return seed;
        }
    };
    struct equal {
        using is_transparent = void;
        bool operator()(const auto& left, const auto& right) const noexcept {
            for (std::size_t i = 0; i < Size; ++i) {
                if (left[i] != right[i])
                    return false;
            }
            return true;
        }
    };

    std::shared_mutex mutex_;
    std::unordered_map<std::array<std::string, Size>, Series, hash, equal> series_;
};

struct statement_series {
    Histogram* duration;
    Histogram* rows; // null for failures
};

struct pool_series {
    Histogram* wait;
    Histogram* use;
    Counter* timeouts;
    Counter* leaks;
};

struct transaction_series {
    Histogram* duration;
    std::array<Counter*, 3> ends; // by transaction_event::end
};

// By term_end.
constexpr std::array<const char*, 7> causes{"resigned",     "stopped",       "preferred", "excluded",
                                            "session_lost", "lease_ran_out", "fenced_out"};

struct election_series {
    Gauge* leader;
    Gauge* term;
    Gauge* margin;
    Gauge* candidates;
    Histogram* heartbeat;
    Counter* rejections;
    Counter* elections;
    std::array<Counter*, causes.size()> ends; // by term_end
};

// A failure to record must not become one of the program's: the event is lost.
template <class Record>
void unless_it_throws(const Record& record) noexcept {
    try {
        record();
    } catch (...) {
        return; // out of memory: there is nobody to tell
    }
}

MetricFamily gauge_family(const char* name, const char* help) {
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = ::prometheus::MetricType::Gauge;
    return family;
}

void add_gauge(MetricFamily& family, std::vector<::prometheus::ClientMetric::Label> labels, std::size_t value) {
    ::prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = static_cast<double>(value);
    family.metric.push_back(std::move(metric));
}

} // namespace

struct prometheus_observer::state {
    ::prometheus::Registry registry{};

    // The conventions advise these for operations; what else takes time is measured on the same scale.
    Histogram::BucketBoundaries seconds_buckets{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};
    Histogram::BucketBoundaries rows_buckets{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

    Family<Histogram>& operation_duration =
        histogram("db_client_operation_duration_seconds", "Duration of statements, from being sent to being answered");
    Family<Histogram>& returned_rows = histogram(
        "db_client_response_returned_rows", "Rows that a statement has returned or changed, of those that succeeded");
    Family<Histogram>& create_time = histogram("db_client_connection_create_time_seconds", "Time to open a session");
    Family<Histogram>& wait_time =
        histogram("db_client_connection_wait_time_seconds", "Time to obtain a connection from the pool");
    Family<Histogram>& use_time =
        histogram("db_client_connection_use_time_seconds", "Time from borrowing a connection to giving it back");
    Family<Counter>& timeouts =
        counter("db_client_connection_timeouts_total", "Borrowers that gave up waiting for a connection from the pool");
    Family<Counter>& connect_failures = counter("tenon_connect_failures_total", "Sessions that could not be opened");
    Family<Counter>& leaks =
        counter("tenon_connection_leaks_total", "Connections that were lent for longer than pool_options::leak_after");
    Family<Histogram>& transaction_duration =
        histogram("tenon_transaction_duration_seconds", "Duration of transactions, from begin to end");
    Family<Counter>& transactions = counter("tenon_transactions_total", "Transactions, by how they have ended");
    Family<Counter>& retries = counter("tenon_retries_total", "Times that transact has run its body again");
    Family<Gauge>& election_leader = gauge("tenon_election_leader", "1 while this process leads the election, else 0");
    Family<Gauge>& election_term = gauge("tenon_election_term", "The last term that this process has won");
    Family<Gauge>& election_margin =
        gauge("tenon_election_margin_seconds", "What was left of the lease at the last answer to a heartbeat");
    Family<Gauge>& election_candidates = gauge(
        "tenon_election_candidates", "Processes that campaign or lead, as the leader knows it; 0 where none leads");
    Family<Histogram>& election_heartbeat =
        histogram("tenon_election_heartbeat_seconds", "Time from a leader's heartbeat to its answer");
    Family<Counter>& election_rejections =
        counter("tenon_election_fence_rejections_total", "Transactions of a leader that its fence has refused");
    Family<Counter>& election_transitions =
        counter("tenon_election_transitions_total", "Terms that began (elected) and terms that ended, by their cause");

    series_table<5, statement_series> statement_table{}; // pool, operation, collection, status, error
    series_table<1, pool_series> pool_table{};
    series_table<1, transaction_series> transaction_table{}; // pool
    series_table<1, Histogram*> create_table{};              // pool
    series_table<2, Counter*> connect_failure_table{};       // pool, status
    series_table<2, Counter*> retry_table{};                 // pool, status
    series_table<2, election_series> election_table{};       // name, region

    // Not the tables' mutex, and not held during an event: a scrape holds it while it asks a pool for its status,
    // and a pool may tell of an event while it is locked.
    mutable std::mutex watch_mutex{};
    std::map<std::string, const pool*, std::less<>> watched{};

    Family<Histogram>& histogram(const char* name, const char* help) {
        return ::prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
    }

    Family<Counter>& counter(const char* name, const char* help) {
        return ::prometheus::BuildCounter().Name(name).Help(help).Register(registry);
    }

    Family<Gauge>& gauge(const char* name, const char* help) {
        return ::prometheus::BuildGauge().Name(name).Help(help).Register(registry);
    }

    Histogram& timed(Family<Histogram>& family, const Labels& labels) { return family.Add(labels, seconds_buckets); }

    statement_series& statements(const statement_event& event) {
        const std::string_view error = !event.failed                   ? std::string_view{}
                                       : event.response_status.empty() ? other_error
                                                                       : event.response_status;
        return statement_table.get(
            {event.pool, event.operation, event.collection, event.response_status, error}, [&](const auto& values) {
                const Labels labels{
                    {pool_label, values[0]}, {operation_label, values[1]}, {collection_label, values[2]}};
                Labels with_status = labels;
                with_status.emplace(status_label, values[3]);
                with_status.emplace(error_label, values[4]);
                return statement_series{.duration = &timed(operation_duration, with_status),
                                        .rows = event.failed ? nullptr : &returned_rows.Add(labels, rows_buckets)};
            });
    }

    pool_series& pools(std::string_view pool) {
        return pool_table.get({pool}, [&](const auto& values) {
            const Labels labels{{pool_label, values[0]}};
            return pool_series{.wait = &timed(wait_time, labels),
                               .use = &timed(use_time, labels),
                               .timeouts = &timeouts.Add(labels),
                               .leaks = &leaks.Add(labels)};
        });
    }

    transaction_series& transactions_of(std::string_view pool) {
        return transaction_table.get({pool}, [&](const auto& values) {
            const auto count = [&](const char* outcome) {
                return &transactions.Add({{pool_label, values[0]}, {outcome_label, outcome}});
            };
            return transaction_series{.duration = &timed(transaction_duration, {{pool_label, values[0]}}),
                                      .ends = {count("committed"), count("rolled_back"), count("unknown")}};
        });
    }

    election_series& elections(std::string_view election, std::string_view region) {
        return election_table.get({election, region}, [&](const auto& values) {
            const Labels labels{{election_label, values[0]}, {region_label, values[1]}};
            const auto count = [&](const char* cause) {
                Labels with_cause = labels;
                with_cause.emplace(cause_label, cause);
                return &election_transitions.Add(with_cause);
            };
            election_series made{.leader = &election_leader.Add(labels),
                                 .term = &election_term.Add(labels),
                                 .margin = &election_margin.Add(labels),
                                 .candidates = &election_candidates.Add(labels),
                                 .heartbeat = &timed(election_heartbeat, labels),
                                 .rejections = &election_rejections.Add(labels),
                                 .elections = count("elected"),
                                 .ends = {}};
            for (std::size_t i = 0; i < causes.size(); ++i)
                made.ends[i] = count(causes[i]); // seen at 0 first, each shows its first event as an increase
            return made;
        });
    }
};

prometheus_observer::prometheus_observer() : state_(std::make_unique<state>()) {}
prometheus_observer::~prometheus_observer() = default;

void prometheus_observer::watch(std::string name, const pool& db) {
    state_->pools(name); // counters that are seen at 0 first show their first event as an increase
    state_->transactions_of(name);
    const std::scoped_lock lock(state_->watch_mutex);
    state_->watched.insert_or_assign(std::move(name), &db);
}

void prometheus_observer::unwatch(std::string_view name) noexcept {
    const std::scoped_lock lock(state_->watch_mutex);
    if (const auto found = state_->watched.find(name); found != state_->watched.end())
        state_->watched.erase(found);
}

std::vector<MetricFamily> prometheus_observer::Collect() const {
    auto families = state_->registry.Collect();

    auto count = gauge_family("db_client_connection_count", "Connections of the pool that are open, by their state");
    auto max = gauge_family("db_client_connection_max", "Most connections that the pool opens at once");
    auto pending =
        gauge_family("db_client_connection_pending_requests", "Borrowers that wait for a connection from the pool");
    const std::scoped_lock lock(state_->watch_mutex);
    for (const auto& [name, db] : state_->watched) {
        const auto status = db->status();
        add_gauge(count, {{pool_label, name}, {state_label, "idle"}}, status.idle);
        add_gauge(count, {{pool_label, name}, {state_label, "used"}}, status.active);
        add_gauge(max, {{pool_label, name}}, status.max_size);
        add_gauge(pending, {{pool_label, name}}, status.waiting);
    }
    for (auto* family : {&count, &max, &pending}) {
        if (!family->metric.empty())
            families.push_back(std::move(*family));
    }
    return families;
}

void prometheus_observer::acquired(const acquire_event& event) noexcept {
    unless_it_throws([&] {
        const auto& series = state_->pools(event.pool);
        if (event.timed_out) {
            series.timeouts->Increment();
        } else {
            series.wait->Observe(seconds(event.wait));
        }
    });
}

void prometheus_observer::released(const release_event& event) noexcept {
    unless_it_throws([&] { state_->pools(event.pool).use->Observe(seconds(event.use)); });
}

void prometheus_observer::connected(const connect_event& event) noexcept {
    unless_it_throws([&] {
        if (event.error.empty()) {
            state_->create_table
                .get({event.pool},
                     [&](const auto& values) { return &state_->timed(state_->create_time, {{pool_label, values[0]}}); })
                ->Observe(seconds(event.create));
        } else {
            state_->connect_failure_table
                .get({event.pool, event.response_status},
                     [&](const auto& values) {
                         return &state_->connect_failures.Add({{pool_label, values[0]}, {status_label, values[1]}});
                     })
                ->Increment();
        }
    });
}

void prometheus_observer::executed(const statement_event& event) noexcept {
    unless_it_throws([&] {
        const auto& series = state_->statements(event);
        series.duration->Observe(seconds(event.duration));
        if (series.rows)
            series.rows->Observe(static_cast<double>(event.rows));
    });
}

void prometheus_observer::ended(const transaction_event& event) noexcept {
    unless_it_throws([&] {
        const auto& series = state_->transactions_of(event.pool);
        series.duration->Observe(seconds(event.duration));
        series.ends.at(static_cast<std::size_t>(event.outcome))->Increment();
    });
}

void prometheus_observer::retried(const retry_event& event) noexcept {
    unless_it_throws([&] {
        state_->retry_table
            .get({event.pool, event.response_status},
                 [&](const auto& values) {
                     return &state_->retries.Add({{pool_label, values[0]}, {status_label, values[1]}});
                 })
            ->Increment();
    });
}

void prometheus_observer::leaked(const leak_event& event) noexcept {
    unless_it_throws([&] { state_->pools(event.pool).leaks->Increment(); });
}

void prometheus_observer::elected(const elected_event& event) noexcept {
    unless_it_throws([&] {
        const auto& series = state_->elections(event.election, event.region);
        series.term->Set(static_cast<double>(event.term));
        series.leader->Set(1);
        series.elections->Increment();
    });
}

void prometheus_observer::deposed(const deposed_event& event) noexcept {
    unless_it_throws([&] {
        const auto& series = state_->elections(event.election, event.region);
        series.ends.at(static_cast<std::size_t>(event.cause))->Increment();
        if (series.term->Value() > static_cast<double>(event.term))
            return; // another candidate of this process leads already
        series.leader->Set(0);
        series.margin->Set(0);
        series.candidates->Set(0);
    });
}

void prometheus_observer::heartbeat(const heartbeat_event& event) noexcept {
    unless_it_throws([&] {
        const auto& series = state_->elections(event.election, event.region);
        series.heartbeat->Observe(seconds(event.round_trip));
        series.margin->Set(seconds(event.margin));
        series.candidates->Set(event.candidates);
    });
}

void prometheus_observer::fenced(const fence_event& event) noexcept {
    unless_it_throws([&] { state_->elections(event.election, event.region).rejections->Increment(); });
}

} // namespace tenon
