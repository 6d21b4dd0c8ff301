// What a suite has measured: a table for people, JSON for programs, a plot for both.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace bench {

/// One measured figure. A figure with a bar holds when it is not greater.
struct figure {
    std::string name;
    std::optional<double> value; ///< nullopt: could not be measured here
    std::string unit;
    std::optional<double> bar{};
};

/// One group of bars in the plot, and one block in the table.
struct comparison_result {
    struct line {
        std::string contender;
        std::optional<double> per_item; ///< in the unit below
        std::optional<double> ratio;    ///< to the reference, which has 1
        std::optional<double> bar{};    ///< of that ratio
    };
    std::string name;
    std::string unit; ///< "us a row"
    std::vector<line> lines{};
};

class report {
public:
    explicit report(std::string suite) : suite_(std::move(suite)) {}

    void add(comparison_result result);
    void add(figure one);

    /// To stdout.
    void print() const;
    /// Writes bench-report/<suite>.json and bench-report/<suite>.svg. Throws std::runtime_error.
    void write() const;

private:
    void write_json(const std::string& path) const;
    void write_svg(const std::string& path) const;

    std::string suite_;
    std::vector<comparison_result> results_;
    std::vector<figure> figures_;
};

} // namespace bench
