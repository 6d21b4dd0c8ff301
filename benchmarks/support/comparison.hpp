// The same work done by several contenders, measured so that a noisy machine spoils it least.
//
// Google Benchmark times each run. Contenders take turns round by round, and what counts is the median of the ratios
// within a round: whatever slows the machine for a while meets all of them.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "report.hpp"

namespace bench {

/// One contender in a comparison. Without a `run` it is listed as not measured.
struct contender {
    std::string name;
    std::function<void()> run{};
    std::function<void()> before{}; ///< not timed
    std::function<void()> after{};  ///< not timed
    std::optional<double> bar{};    ///< of its time to the first contender's
};

struct comparison {
    std::string name; ///< letters, digits, spaces, commas: it is part of a regular expression
    std::string unit; ///< of the table: "us a row"
    double items = 1; ///< in one run, for times per item
    std::vector<contender> contenders{};

    [[nodiscard]] std::size_t index_of(std::string_view contender) const;
};

/// Seconds of each run by contender and round; an empty list for one that was not measured.
class timings {
public:
    explicit timings(const comparison& of) : seconds_(of.contenders.size()) {}

    void add(std::size_t contender, double seconds) { seconds_[contender].push_back(seconds); }
    [[nodiscard]] std::optional<double> median(std::size_t contender) const;
    /// Median over the rounds of `contender`'s time to that of `reference`.
    [[nodiscard]] std::optional<double> ratio(std::size_t contender, std::size_t reference) const;

private:
    std::vector<std::vector<double>> seconds_;
};

/// One round to warm up, then `rounds` that count.
[[nodiscard]] timings measure(const comparison& what, int rounds);

/// For the report, with the first contender as the reference.
[[nodiscard]] comparison_result summary(const comparison& what, const timings& measured);

} // namespace bench
