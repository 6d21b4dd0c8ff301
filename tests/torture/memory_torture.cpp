// Memory stays flat while millions of rows are copied in, streamed and copied out: ./dev torture memory [--rows N]
//
// What the process holds is looked at all along; the most it grows by, from before the first row, is the figure:
// that of a result held in memory would be a hundred times the bar. Exits 1 when a row is missing or wrong, with
// --strict also when memory grew.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>

#include "benchmarks/support/report.hpp"

namespace {

struct Row {
    std::int64_t id{};
    std::string text;

    static constexpr auto table = tenon::table("torture_row", tenon::key<&Row::id>);
};

constexpr double most_growth = 8; // MiB: a block of a stream, a buffer of COPY and what malloc rounds up

double resident() {
    std::ifstream file("/proc/self/statm");
    double pages = 0;
    file >> pages >> pages;
    return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

class watch {
public:
    explicit watch(std::int64_t rows) : rows_(rows) {}

    void seen(std::int64_t row) {
        if (row % std::max<std::int64_t>(rows_ / 200, 1) == 0)
            most_ = std::max(most_, resident());
    }
    [[nodiscard]] double growth() const { return most_ - before_; }

private:
    std::int64_t rows_;
    double before_ = resident();
    double most_ = before_;
};

Row make_row(std::int64_t id) {
    return {.id = id, .text = std::string(static_cast<std::size_t>(20 + id % 30), static_cast<char>('a' + id % 26))};
}

void require(bool truth, const std::string& what) {
    if (!truth)
        throw std::runtime_error(what);
}

template <class Open>
double read_all(const std::string& how, std::int64_t rows, Open open) {
    watch memory(rows);
    tenon::stream<Row> stream = open();
    std::int64_t count = 0;
    std::int64_t sum = 0;
    for (const Row& row : stream) {
        require(row.text == make_row(row.id).text, how + ": row " + std::to_string(row.id) + " is another");
        sum += row.id;
        memory.seen(++count);
    }
    require(count == rows && sum == rows * (rows - 1) / 2, how + ": rows are missing");
    return memory.growth();
}

int run(std::int64_t rows, bool strict) {
    tenon::testing::cluster server;
    tenon::connection db{server.url()};
    tenon::transaction tx{db};
    tx.execute("create unlogged table torture_row (id bigint not null, text text not null)");
    tenon::repository<Row> all{tx};
    bench::report out("memory");
    bool flat = true;
    const auto add = [&](std::string_view how, double growth) {
        out.add({.name = std::string(how) + ", growth while " + std::to_string(rows) + " rows pass",
                 .value = growth,
                 .unit = "MiB",
                 .bar = most_growth});
        flat = flat && growth <= most_growth;
    };

    watch memory(rows);
    const std::uint64_t stored = all.copy_in([&](auto& sink) {
        for (std::int64_t i = 0; i < rows; ++i) {
            sink(make_row(i));
            memory.seen(i);
        }
    });
    require(stored == static_cast<std::uint64_t>(rows), "copy_in: rows are missing");
    add("copy_in", memory.growth());
    add("stream", read_all("stream", rows, [&] { return all.every().stream(); }));
    add("copy_out", read_all("copy_out", rows, [&] { return all.copy_out(); }));
    out.print();
    out.write();
    return strict && !flat ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) try {
    std::int64_t rows = 10'000'000;
    bool strict = false;
    for (int i = 1; i < argc; ++i)
        if (const std::string_view argument = argv[i]; argument == "--rows" && i + 1 < argc)
            rows = std::max(1000LL, std::atoll(argv[++i]));
        else if (argument == "--strict")
            strict = true;
        else {
            std::cerr << "usage: memory_torture [--rows N] [--strict]\n";
            return 2;
        }
    return run(rows, strict);
} catch (const std::exception& wrong) {
    std::cerr << wrong.what() << '\n';
    return 1;
}
