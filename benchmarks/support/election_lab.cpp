#include "election_lab.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <tenon/tenon.hpp>

namespace bench {

void create_election_tables(const std::string& url) {
    tenon::connection db{url};
    db.transact([](tenon::transaction& tx) {
        tenon::install(tx);
        tx.execute("create table if not exists election_counter (election text primary key, n bigint not null);"
                   "create table if not exists election_log (election text not null, n bigint not null,"
                   " timeline integer not null, term bigint not null, id uuid not null, candidate text not null,"
                   " primary key (election, n))");
    });
}

election_lab::election_lab(election_faults_options how, std::vector<std::string> urls)
    : how_(std::move(how)), urls_(std::move(urls)), candidates_(urls_.size()) {
    for (std::size_t i = 0; i < urls_.size(); ++i)
        start(i);
}

election_lab::~election_lab() = default;

void election_lab::start(std::size_t index) {
    candidates_.at(index).reset(); // a thread of it may be about to tell something
    candidates_.at(index) = std::make_unique<candidate_process>(
        candidate_arguments{.url = urls_.at(index),
                            .election = how_.election,
                            .candidate = std::to_string(index),
                            .lease_ms = how_.lease_ms,
                            .poll_ms = how_.poll_ms,
                            .writes = how_.writes,
                            .fenced = how_.fenced,
                            .network_namespace = index == 0 ? how_.network_namespace : std::string()},
        [this, index](const std::string& line) { heard(index, line); });
}

void election_lab::restart(std::vector<std::string> urls) {
    for (std::size_t i = 0; i < urls_.size(); ++i)
        (void)kill(i);
    urls_ = std::move(urls);
    for (std::size_t i = 0; i < urls_.size(); ++i)
        start(i);
}

candidate_process& election_lab::candidate(std::size_t index) {
    return *candidates_.at(index);
}

election_lab::clock::time_point election_lab::kill(std::size_t index) {
    const auto at = clock::now();
    candidates_.at(index).reset();
    const std::lock_guard lock(mutex_);
    for (seen_term& term : terms_)
        if (term.candidate == index && !term.lost)
            term.lost = at;
    return at;
}

void election_lab::heard(std::size_t index, const std::string& line) {
    std::istringstream words(line);
    std::string what;
    std::int64_t first = 0;
    std::int64_t second = 0;
    std::int64_t third = 0;
    words >> what >> first >> second >> third;
    const auto at = [](std::int64_t ns) { return clock::time_point(std::chrono::nanoseconds(ns)); };
    const std::lock_guard lock(mutex_);
    const auto of = [&](std::int64_t term) {
        return std::ranges::find_if(terms_.rbegin(), terms_.rend(), [&](const seen_term& each) {
            return each.candidate == index && each.term == term;
        });
    };
    if (what == "elected") {
        terms_.push_back({.candidate = index,
                          .timeline = static_cast<std::int32_t>(second),
                          .term = third,
                          .elected = at(first),
                          .trusted_until = at(first)});
    } else if (what == "deadline") {
        if (const auto term = of(first); term != terms_.rend())
            term->trusted_until = at(second);
    } else if (what == "lost") {
        if (const auto term = of(second); term != terms_.rend())
            term->lost = at(first);
    }
    changed_.notify_all();
}

seen_term election_lab::leader(std::chrono::seconds patience) {
    std::unique_lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const auto newest = std::ranges::max_element(terms_, {}, &seen_term::elected);
        // Its deadline is said a moment after its election.
        if (newest != terms_.end() && !newest->lost && newest->trusted_until > clock::now())
            return *newest;
        if (changed_.wait_until(lock, until) == std::cv_status::timeout)
            throw std::runtime_error("election " + how_.election + ": nobody leads");
    }
}

seen_term election_lab::next_term(clock::time_point since, std::chrono::seconds patience) {
    std::unique_lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const auto found = std::ranges::find_if(terms_, [&](const seen_term& each) { return each.elected > since; });
        if (found != terms_.end())
            return *found;
        if (changed_.wait_until(lock, until) == std::cv_status::timeout)
            throw std::runtime_error("election " + how_.election + ": nobody was elected");
    }
}

std::vector<seen_term> election_lab::terms() {
    const std::lock_guard lock(mutex_);
    return terms_;
}

} // namespace bench
