#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace bench {

namespace {

std::string formatted(double value, int digits) {
    char text[64]; // NOLINT(modernize-avoid-c-arrays)
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string or_dash(std::optional<double> value, int digits) {
    return value ? formatted(*value, digits) : "-";
}

bool holds(double value, double bar) {
    return value <= bar + 1e-9;
}

std::string verdict(std::optional<double> value, std::optional<double> bar) {
    if (!bar)
        return {};
    const std::string asked = "<= " + formatted(*bar, 2);
    if (!value)
        return asked + "  not measured";
    return asked + (holds(*value, *bar) ? "  holds" : "  MISSED");
}

std::string escaped(const std::string& text, const char* special) {
    std::string out;
    for (const char c : text) {
        if (c == '<')
            out += special[0] == 'x' ? "&lt;" : "<";
        else if (c == '&' && special[0] == 'x')
            out += "&amp;";
        else if ((c == '"' || c == '\\') && special[0] == 'j')
            (out += '\\') += c;
        else
            out += c;
    }
    return out;
}

std::ofstream opened(const std::string& path) {
    std::ofstream out(path);
    if (!out)
        throw std::runtime_error("cannot write " + path);
    return out;
}

} // namespace

void report::add(comparison_result result) {
    results_.push_back(std::move(result));
}
void report::add(figure one) {
    figures_.push_back(std::move(one));
}

void report::print() const {
    for (const comparison_result& result : results_) {
        std::printf("\n%s\n  %-26s %14s %8s\n", result.name.c_str(), "", result.unit.c_str(), "ratio");
        for (const auto& line : result.lines)
            std::printf("  %-26s %14s %8s   %s\n", line.contender.c_str(), or_dash(line.per_item, 3).c_str(),
                        or_dash(line.ratio, 3).c_str(), verdict(line.ratio, line.bar).c_str());
    }
    if (!figures_.empty())
        std::puts("");
    for (const figure& one : figures_)
        std::printf("%-60s %10s %-18s %s\n", one.name.c_str(), or_dash(one.value, 3).c_str(), one.unit.c_str(),
                    verdict(one.value, one.bar).c_str());
}

void report::write() const {
    std::filesystem::create_directories("bench-report");
    write_json("bench-report/" + suite_ + ".json");
    if (!results_.empty())
        write_svg("bench-report/" + suite_ + ".svg");
}

void report::write_json(const std::string& path) const {
    std::ofstream out = opened(path);
    const char* between = "[\n";
    const auto row = [&](const std::string& name, std::optional<double> value, const std::string& unit,
                         std::optional<double> bar) {
        const auto number = [](std::optional<double> figure) {
            return figure ? formatted(*figure, 4) : std::string("null");
        };
        out << std::exchange(between, ",\n") << R"(  {"name": ")" << escaped(name, "j") << R"(", "value": )"
            << number(value) << R"(, "unit": ")" << unit << R"(", "bar": )" << number(bar) << R"(, "holds": )"
            << (!bar || !value        ? "null"
                : holds(*value, *bar) ? "true"
                                      : "false")
            << "}";
    };
    for (const comparison_result& result : results_)
        for (const auto& line : result.lines) {
            row(result.name + ": " + line.contender, line.per_item, result.unit, std::nullopt);
            row(result.name + ": " + line.contender + " / " + result.lines.front().contender, line.ratio, "ratio",
                line.bar);
        }
    for (const figure& one : figures_)
        row(one.name, one.value, one.unit, one.bar);
    out << (*between == '[' ? "[]\n" : "\n]\n");
}

// Horizontal bars: one group a comparison, its reference first, and a tick where the bar to hold lies.
void report::write_svg(const std::string& path) const {
    constexpr int width = 900;
    constexpr int left = 220;
    constexpr int line_height = 20;
    constexpr double longest = 2.5; // longer ones are cut, their figure says it
    const double scale = (width - left - 90) / longest;
    std::size_t height = 40;
    for (const comparison_result& result : results_)
        height += 36 + result.lines.size() * line_height;
    std::ofstream out = opened(path);
    out << R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" << width << R"(" height=")" << height
        << R"(" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>)"
        << "\n<text x=\"12\" y=\"22\" font-weight=\"bold\">time to the first contender's (less is better; red tick: "
           "the "
           "bar)</text>\n";
    int y = 40;
    for (const comparison_result& result : results_) {
        y += 22;
        out << "<text x=\"12\" y=\"" << y << "\" font-weight=\"bold\">" << escaped(result.name, "x") << "</text>\n";
        y += 8;
        for (const auto& line : result.lines) {
            const bool own = line.contender.starts_with("tenon");
            out << "<text x=\"" << left - 8 << "\" y=\"" << y + 13 << "\" text-anchor=\"end\">"
                << escaped(line.contender, "x") << "</text>";
            if (line.ratio) {
                const double length = std::min(*line.ratio, longest) * scale;
                out << "<rect x=\"" << left << "\" y=\"" << y + 2 << "\" width=\"" << formatted(length, 1)
                    << "\" height=\"14\" fill=\"" << (own ? "#2b6cb0" : "#a0aec0") << "\"/><text x=\""
                    << formatted(left + length + 6, 1) << "\" y=\"" << y + 13 << "\">" << formatted(*line.ratio, 2)
                    << "  (" << or_dash(line.per_item, 2) << ' ' << escaped(result.unit, "x") << ")</text>";
            } else
                out << "<text x=\"" << left << "\" y=\"" << y + 13 << "\" fill=\"#777\">not measured</text>";
            if (line.bar) {
                const std::string at = formatted(left + *line.bar * scale, 1);
                out << "<line x1=\"" << at << "\" x2=\"" << at << "\" y1=\"" << y << "\" y2=\"" << y + 18
                    << "\" stroke=\"#c53030\" stroke-width=\"2\"/>";
            }
            out << '\n';
            y += line_height;
        }
        y += 6;
    }
    out << "</svg>\n";
}

} // namespace bench
