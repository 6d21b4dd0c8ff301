#include "comparison.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <stdexcept>

namespace bench {

namespace {

std::optional<double> median_of(std::vector<double> values) {
    if (values.empty())
        return std::nullopt;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

class keep_time final : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context& /*unused*/) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs)
            seconds = run.real_accumulated_time;
    }
    double seconds = 0;
};

std::string full_name(const comparison& what, const contender& who) {
    return what.name + "/" + who.name;
}

} // namespace

std::size_t comparison::index_of(std::string_view contender) const {
    for (std::size_t i = 0; i < contenders.size(); ++i)
        if (contenders[i].name == contender)
            return i;
    throw std::runtime_error("no contender " + std::string(contender) + " in " + name);
}

std::optional<double> timings::median(std::size_t contender) const {
    return median_of(seconds_[contender]);
}

std::optional<double> timings::ratio(std::size_t contender, std::size_t reference) const {
    std::vector<double> ratios;
    const std::size_t rounds = std::min(seconds_[contender].size(), seconds_[reference].size());
    ratios.reserve(rounds);
    for (std::size_t round = 0; round < rounds; ++round)
        ratios.push_back(seconds_[contender][round] / seconds_[reference][round]);
    return median_of(std::move(ratios));
}

timings measure(const comparison& what, int rounds) {
    benchmark::ClearRegisteredBenchmarks();
    for (const contender& who : what.contenders)
        if (who.run)
            benchmark::RegisterBenchmark(full_name(what, who).c_str(),
                                         [&who](benchmark::State& state) {
                                             if (who.before)
                                                 who.before();
                                             for ([[maybe_unused]] auto turn : state)
                                                 who.run();
                                             if (who.after)
                                                 who.after();
                                         })
                ->Iterations(1)
                ->UseRealTime();
    timings measured(what);
    keep_time reporter;
    const std::size_t size = what.contenders.size();
    for (int round = -1; round < rounds; ++round)
        for (std::size_t turn = 0; turn < size; ++turn) {
            // Forwards and backwards by turns, so that nobody always runs behind the same neighbour.
            const std::size_t i = round % 2 == 0 ? turn : size - 1 - turn;
            if (!what.contenders[i].run)
                continue;
            benchmark::RunSpecifiedBenchmarks(&reporter, "^" + full_name(what, what.contenders[i]) + "/iterations:1/");
            if (round >= 0)
                measured.add(i, reporter.seconds);
        }
    return measured;
}

comparison_result summary(const comparison& what, const timings& measured) {
    comparison_result result{.name = what.name, .unit = what.unit};
    for (std::size_t i = 0; i < what.contenders.size(); ++i) {
        const std::optional<double> median = measured.median(i);
        result.lines.push_back({.contender = what.contenders[i].name,
                                .per_item = median ? std::optional(*median / what.items * 1e6) : std::nullopt,
                                .ratio = measured.ratio(i, 0),
                                .bar = what.contenders[i].bar});
    }
    return result;
}

} // namespace bench
