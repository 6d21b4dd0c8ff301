// Reading and writing one table: hand-written libpq, libpqxx and tenon beside each other.
//
// Every contender's rows are compared field by field before anything is measured; a difference ends the program with
// status 1. See README.md for how to run it and how to read what it says.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION static_cast<void>(0)
#define CALLGRIND_STOP_INSTRUMENTATION static_cast<void>(0)
#endif

#include "support/allocations.hpp"
#include "support/comparison.hpp"
#include "support/cores.hpp"
#include "support/dataset.hpp"
#include "support/raw_libpq.hpp"
#include "support/raw_pqxx.hpp"
#ifdef TENON_BENCH_SOCI
#include "support/raw_soci.hpp"
#endif
#include "support/report.hpp"
#include "support/with_tenon.hpp"

namespace {

using namespace bench;

constexpr std::size_t selects = 1000;
constexpr std::size_t inserts = 1000;
constexpr std::int64_t listed = 10'000;

class wrong_result : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Both tables, seen from a session of its own.
class tables {
public:
    explicit tables(const std::string& url) : session_(url) {}

    /// Makes both and fills the one that is read.
    void make() {
        drop();
        session_.command("create schema tenon_bench");
        session_.command(create_table("tenon_bench.written"));
        session_.begin();
        session_.copy_in(make_rows<written>(rows_in_table));
        session_.commit();
        session_.command("alter table tenon_bench.written rename to items");
        session_.command(create_table("tenon_bench.written"));
        session_.command("vacuum (analyze, freeze) tenon_bench.items");
    }
    void drop() { session_.command("drop schema if exists tenon_bench cascade"); }
    void empty_written() { session_.command("truncate tenon_bench.written restart identity"); }
    std::vector<written> stored() { return session_.stored(); }

private:
    raw_libpq session_;
};

/// The contenders, each on a session of its own, and the work they are given.
struct workload {
    /// On tables that are there. `bulk` is the number of rows to insert in bulk.
    explicit workload(const std::string& url, std::int64_t bulk = rows_in_table)
        : made(url),
          libpq(url),
          pqxx(url),
#ifdef TENON_BENCH_SOCI
          soci(url),
#endif
          tenon(url),
          rows(make_rows<written>(bulk)) {
        libpq.prepare();
        pqxx.prepare();
#ifdef TENON_BENCH_SOCI
        soci.prepare();
#endif
        std::vector<std::int64_t> all(rows_in_table);
        std::iota(all.begin(), all.end(), 1);
        std::ranges::shuffle(all, std::mt19937_64(7)); // NOLINT(cert-msc51-cpp): the same keys in each run
        ids.assign(all.begin(), all.begin() + selects);
    }

    tables made;
    raw_libpq libpq;
    raw_pqxx pqxx;
#ifdef TENON_BENCH_SOCI
    raw_soci soci;
#endif
    with_tenon tenon;
    std::vector<std::int64_t> ids;
    std::vector<written> rows;

    [[nodiscard]] std::span<const written> some_rows() const { return {rows.data(), inserts}; }

    bool place(placement wanted) {
        const std::array backends{libpq.backend_pid(), pqxx.backend_pid(), tenon.backend_pid(),
#ifdef TENON_BENCH_SOCI
                                  soci.backend_pid()
#endif
        };
        return libpq.is_local() && bench::place(wanted, backends);
    }

    /// Reading: a transaction around the run.
    template <class Who, class Run>
    contender reads(std::string name, Who& who, Run run, std::optional<double> bar = std::nullopt) {
        return {.name = std::move(name),
                .run = [&who, run] { run(who); },
                .before = [&who] { who.begin(); },
                .after = [&who] { who.commit(); },
                .bar = bar};
    }
    /// Writing: into an empty table.
    template <class Who, class Run>
    contender writes(std::string name, Who& who, Run run, std::optional<double> bar = std::nullopt) {
        contender made_of = reads(std::move(name), who, std::move(run), bar);
        made_of.before = [this, &who] {
            made.empty_written();
            who.begin();
        };
        return made_of;
    }
};

contender unavailable(std::string name, std::optional<double> bar) {
    return {.name = std::move(name), .bar = bar};
}

comparison point_select(workload& work) {
    const auto run = [&work](auto& who) {
        for (const std::int64_t id : work.ids)
            benchmark::DoNotOptimize(who.find(id));
    };
    comparison what{.name = "point select by key",
                    .unit = "us",
                    .items = selects,
                    .contenders = {work.reads("libpq", work.libpq, run), work.reads("libpqxx", work.pqxx, run),
                                   work.reads("tenon", work.tenon, run, 1.05)}};
#ifdef TENON_BENCH_SOCI
    what.contenders.push_back(work.reads("SOCI", work.soci, run));
#endif
    return what;
}

comparison rows_into_a_vector(workload& work) {
    const auto run = [](auto& who) { benchmark::DoNotOptimize(who.list(listed)); };
    comparison what{.name = "10,000 rows into a vector",
                    .unit = "us a row",
                    .items = listed,
                    .contenders = {work.reads("libpq", work.libpq, run), work.reads("libpqxx", work.pqxx, run),
                                   work.reads("tenon", work.tenon, run, 1.05)}};
#ifdef TENON_BENCH_SOCI
    what.contenders.push_back(work.reads("SOCI", work.soci, run));
#endif
    return what;
}

comparison streaming(workload& work) {
    const auto use = [](const item& row) { benchmark::DoNotOptimize(row.id); };
    const auto run = [use](auto& who) { who.each(listed, use); };
    comparison what{.name = "10,000 rows one by one, separate cores",
                    .unit = "us a row",
                    .items = listed,
                    .contenders = {work.reads("libpq", work.libpq, run),
                                   work.reads("libpq single-row mode", work.libpq,
                                              [use](raw_libpq& who) { who.each_single(listed, use); }),
                                   work.reads("libpq cursor, pipelined", work.libpq,
                                              [use](raw_libpq& who) { who.each_by_cursor(listed, use); }),
                                   work.reads("libpqxx stream", work.pqxx, run)}};
    what.contenders.push_back(with_tenon::can_stream ? work.reads("tenon stream", work.tenon, run, 0.90)
                                                     : unavailable("tenon stream", 0.90));
    return what;
}

comparison insert_returning(workload& work, std::string name) {
    const auto run = [&work](auto& who) {
        for (const written& row : work.some_rows())
            benchmark::DoNotOptimize(who.insert(row));
    };
    const auto pipelined = [&work](auto& who) { benchmark::DoNotOptimize(who.insert_pipelined(work.some_rows())); };
    comparison what{.name = std::move(name),
                    .unit = "us",
                    .items = inserts,
                    .contenders = {work.writes("libpq", work.libpq, run), work.writes("libpqxx", work.pqxx, run),
                                   work.writes("tenon", work.tenon, run, 1.05),
                                   work.writes("libpq pipelined", work.libpq, pipelined)}};
    what.contenders.push_back(with_tenon::can_pipeline ? work.writes("tenon pipelined", work.tenon, pipelined, 0.60)
                                                       : unavailable("tenon pipelined", 0.60));
    return what;
}

comparison bulk_insert(workload& work) {
    const auto copy = [&work](auto& who) { who.copy_in(work.rows); };
    comparison what{.name = "100,000 rows in",
                    .unit = "us a row",
                    .items = static_cast<double>(work.rows.size()),
                    .contenders = {work.writes("libpq COPY BINARY", work.libpq, copy),
                                   work.writes("libpqxx stream_to", work.pqxx, copy)}};
    what.contenders.push_back(with_tenon::can_copy_in ? work.writes("tenon copy_in", work.tenon, copy, 1.05)
                                                      : unavailable("tenon copy_in", 1.05));
    what.contenders.push_back(work.writes(
        "tenon insert_many", work.tenon,
        [&work](with_tenon& who) { benchmark::DoNotOptimize(who.insert_many(work.rows)); }, 1.5));
    return what;
}

comparison selects_at_once(workload& work) {
    const auto run = [&work](auto& who) { benchmark::DoNotOptimize(who.find_pipelined(work.ids)); };
    const auto many = [&work](auto& who) { benchmark::DoNotOptimize(who.find_many(work.ids)); };
    comparison what{.name = "1,000 selects at once",
                    .unit = "us",
                    .items = selects,
                    .contenders = {work.reads("libpq pipeline", work.libpq, run),
                                   work.reads("libpqxx pipeline", work.pqxx, run),
                                   work.reads("libpqxx pipeline, execute", work.pqxx, [&work](raw_pqxx& who) {
                                       benchmark::DoNotOptimize(who.find_pipelined(work.ids, true));
                                   })}};
    what.contenders.push_back(with_tenon::can_pipeline ? work.reads("tenon pipeline", work.tenon, run, 1.05)
                                                       : unavailable("tenon pipeline", 1.05));
    what.contenders.push_back(work.reads("libpq array", work.libpq, many));
    what.contenders.push_back(with_tenon::can_find_many ? work.reads("tenon find_many", work.tenon, many, 0.45)
                                                        : unavailable("tenon find_many", 0.45));
    return what;
}

std::vector<comparison> comparisons(workload& work) {
    return {point_select(work),
            rows_into_a_vector(work),
            streaming(work),
            insert_returning(work, "insert returning the row"),
            insert_returning(work,
                             "insert returning the row, separate cores"), // where a round trip costs as over a network
            bulk_insert(work),
            selects_at_once(work)};
}

// --- every contender reads and writes the same
// ------------------------------------------------------------------------

class verification {
public:
    explicit verification(workload& work) : work_(work) {}

    void run() {
        reading();
        inserting();
        copying();
    }

private:
    void reading() {
        const auto selected = [this](auto& who) {
            checksum sum;
            for (const std::int64_t id : work_.ids)
                sum.add(who.find(id));
            return sum.value();
        };
        const auto all = [](auto& who) {
            checksum sum;
            sum.add(who.list(listed));
            return sum.value();
        };
        const auto each = [](auto& who) {
            checksum sum;
            who.each(listed, [&sum](const item& row) { sum.add(row); });
            return sum.value();
        };
        const auto pipelined = [this](auto& who) {
            checksum sum;
            sum.add(who.find_pipelined(work_.ids));
            return sum.value();
        };
        const auto many = [this](auto& who) {
            std::vector<item> rows = who.find_many(work_.ids);
            std::ranges::sort(rows, {}, &item::id);
            checksum sum;
            sum.add(rows);
            return sum.value();
        };
        const auto read = [this](auto& who, auto how) {
            who.begin();
            const std::uint64_t sum = how(who);
            who.commit();
            return sum;
        };
        checksum expected_list;
        std::vector<written> rows(work_.rows.begin(), work_.rows.begin() + listed);
        expected_list.add(numbered(rows));
        const std::uint64_t list = expected_list.value();
        const std::uint64_t found = read(work_.libpq, selected);
        expect("list", work_.libpq, read(work_.libpq, all), list);
        expect("list", work_.pqxx, read(work_.pqxx, all), list);
        expect("list", work_.tenon, read(work_.tenon, all), list);
#ifdef TENON_BENCH_SOCI
        expect("list", work_.soci, read(work_.soci, all), list);
        expect("find", work_.soci, read(work_.soci, selected), found);
#endif
        expect("each", work_.libpq, read(work_.libpq, each), list);
        expect("each", work_.pqxx, read(work_.pqxx, each), list);
        expect("cursor", work_.libpq,
               read(work_.libpq,
                    [](raw_libpq& who) {
                        checksum sum;
                        who.each_by_cursor(listed, [&sum](const item& row) { sum.add(row); });
                        return sum.value();
                    }),
               list);
        expect("find", work_.pqxx, read(work_.pqxx, selected), found);
        expect("find", work_.tenon, read(work_.tenon, selected), found);
        expect("pipeline", work_.libpq, read(work_.libpq, pipelined), found);
        expect("pipeline", work_.pqxx, read(work_.pqxx, pipelined), found);
        const std::uint64_t by_ids = read(work_.libpq, many);
        if constexpr (with_tenon::can_stream)
            expect("each", work_.tenon, read(work_.tenon, each), list);
        if constexpr (with_tenon::can_pipeline)
            expect("pipeline", work_.tenon, read(work_.tenon, pipelined), found);
        if constexpr (with_tenon::can_find_many)
            expect("find_many", work_.tenon, read(work_.tenon, many), by_ids);
    }

    void inserting() {
        const auto one_by_one = [this](auto& who) {
            std::vector<written> rows;
            for (const written& row : work_.some_rows())
                rows.push_back(who.insert(row));
            return rows;
        };
        const auto pipelined = [this](auto& who) { return who.insert_pipelined(work_.some_rows()); };
        inserted("insert", work_.libpq, one_by_one);
        inserted("insert", work_.pqxx, one_by_one);
        inserted("insert", work_.tenon, one_by_one);
        inserted("pipelined insert", work_.libpq, pipelined);
        if constexpr (with_tenon::can_pipeline)
            inserted("pipelined insert", work_.tenon, pipelined);
    }

    template <class Who, class How>
    void inserted(const char* what, Who& who, How how) {
        work_.made.empty_written();
        who.begin();
        checksum returned;
        returned.add(how(who));
        who.commit();
        checksum expected;
        expected.add(numbered({work_.some_rows().begin(), work_.some_rows().end()}));
        expect(what, who, returned.value(), expected.value());
        checksum stored;
        stored.add(work_.made.stored());
        expect(what, who, stored.value(), expected.value());
    }

    void copying() {
        const auto copy = [this](auto& who) { who.copy_in(work_.rows); };
        stored_all("copy", work_.libpq, copy);
        stored_all("stream_to", work_.pqxx, copy);
        if constexpr (with_tenon::can_copy_in)
            stored_all("copy_in", work_.tenon, copy);
        stored_all("insert_many", work_.tenon, [this](with_tenon& who) {
            std::int64_t next = 1;
            for (const std::int64_t id : who.insert_many(work_.rows))
                if (id != next++)
                    throw wrong_result("insert_many of tenon returned other ids than the rows have");
        });
    }

    template <class Who, class How>
    void stored_all(const char* what, Who& who, How how) {
        work_.made.empty_written();
        who.begin();
        how(who);
        who.commit();
        checksum stored;
        stored.add(work_.made.stored());
        checksum expected;
        expected.add(numbered(work_.rows));
        expect(what, who, stored.value(), expected.value());
    }

    static std::vector<written> numbered(std::vector<written> rows) {
        std::int64_t next = 1;
        for (written& row : rows)
            row.id = next++;
        return rows;
    }

    template <class Who>
    static void expect(const char* what, const Who& /*unused*/, std::uint64_t found, std::uint64_t expected) {
        if (found != expected)
            throw wrong_result(std::string(what) + " of " + Who::label + ": the checksum of its rows is " +
                               std::to_string(found) + ", and it must be " + std::to_string(expected));
    }

    workload& work_;
};

// --- heap
// -------------------------------------------------------------------------------------------------------------

/// Strings of a row that are too long to live inside their object.
template <class Row>
double strings_on_the_heap(const Row& row) {
    const std::size_t inside = std::string().capacity();
    return static_cast<double>(row.name.size() > inside) + static_cast<double>(row.note.size() > inside) +
           static_cast<double>(row.details.text.size() > inside);
}

/// What tenon takes from the heap for each row beyond the strings that it returns: the difference between a small
/// and a large run, so that what a statement costs once does not count.
void count_allocations(workload& work, report& out) {
    constexpr std::int64_t few = 500;
    constexpr std::int64_t many = 5000;
    const auto figure_of = [&](const char* name, bool available, const std::function<double(std::int64_t)>& run) {
        figure one{.name = std::string("heap allocations beyond the strings' own: ") + name,
                   .value = std::nullopt,
                   .unit = "a row",
                   .bar = 0.01}; // the growth of a vector that is returned is shared by its rows
        if (available) {
            const auto beyond = [&](std::int64_t rows) {
                work.made.empty_written();
                work.tenon.begin();
                (void)run(rows); // prepares what it needs
                const std::uint64_t before = allocations();
                const double own = run(rows);
                const double found = static_cast<double>(allocations() - before) - own;
                work.tenon.commit();
                return found;
            };
            const double small = beyond(few);
            one.value = (beyond(many) - small) / static_cast<double>(many - few);
        }
        out.add(one);
    };
    const auto span_of = [&](std::int64_t rows) {
        return std::span<const written>(work.rows.data(), static_cast<std::size_t>(rows));
    };
    const auto ids_to = [](std::int64_t rows) {
        std::vector<std::int64_t> ids(static_cast<std::size_t>(rows));
        std::iota(ids.begin(), ids.end(), 1);
        return ids;
    };
    const auto strings_of = [](const auto& rows) {
        double sum = 0;
        for (const auto& row : rows)
            sum += strings_on_the_heap(row);
        return sum;
    };
    figure_of("get", true, [&](std::int64_t rows) {
        double own = 0;
        for (std::int64_t id = 1; id <= rows; ++id)
            own += strings_on_the_heap(work.tenon.find(id));
        return own;
    });
    figure_of("all", true, [&](std::int64_t rows) { return strings_of(work.tenon.list(rows)); });
    figure_of("stream", with_tenon::can_stream, [&](std::int64_t rows) {
        double own = 0;
        work.tenon.each(rows, [&own](const item& row) { own += strings_on_the_heap(row); });
        return own;
    });
    figure_of("insert", true, [&](std::int64_t rows) {
        double own = 0;
        for (const written& row : span_of(rows))
            own += strings_on_the_heap(work.tenon.insert(row));
        return own;
    });
    figure_of("insert_many", true, [&](std::int64_t rows) {
        (void)work.tenon.insert_many(span_of(rows));
        return 0.0;
    });
    figure_of("copy_in", with_tenon::can_copy_in, [&](std::int64_t rows) {
        work.tenon.copy_in(span_of(rows));
        return 0.0;
    });
    figure_of("find_many", with_tenon::can_find_many, [&](std::int64_t rows) {
        return 1 + strings_of(work.tenon.find_many(ids_to(rows))); // 1: the keys' vector
    });
}

// --- the program
// ------------------------------------------------------------------------------------------------------

constexpr const char* usage =
    "usage: access_bench [--rounds N] [--only TEXT]\n"
    "       access_bench --make | --list | --drop   (tools/bench_instructions.sh uses these, and the next)\n"
    "       access_bench --instructions COMPARISON CONTENDER RUNS\n"
    "TENON_DATABASE_URL names the database; a schema tenon_bench is made in it and dropped.\n";

// Under callgrind fewer rows do: what counts there is the difference between one run and two.
constexpr std::int64_t bulk_for_instructions = 10'000;

/// Runs of one contender with callgrind's instrumentation on, after one that is not counted.
int run_for_instructions(workload& work, std::string_view name, std::string_view who, int runs) {
    for (const comparison& what : comparisons(work))
        if (what.name == name) {
            const contender& one = what.contenders[what.index_of(who)];
            one.before();
            one.run();
            CALLGRIND_START_INSTRUMENTATION;
            for (int i = 0; i < runs; ++i)
                one.run();
            CALLGRIND_STOP_INSTRUMENTATION;
            one.after();
            return 0;
        }
    std::cerr << "there is no comparison '" << name << "'; --list lists them\n";
    return 2;
}

void list_contenders(workload& work) {
    for (const comparison& what : comparisons(work))
        for (const contender& one : what.contenders)
            if (one.run)
                std::cout << what.name << '\t' << one.name << '\t' << static_cast<std::int64_t>(what.items) << '\n';
}

int run_all(workload& work, int rounds, std::string_view only) {
    verification(work).run();
    std::cout << "checksums of all contenders are equal\n";
    report out("access");
    const std::array versus{
        std::tuple{"100,000 rows in", "tenon copy_in", "libpqxx stream_to", 0.67},
        std::tuple{"1,000 selects at once", "tenon pipeline", "libpqxx pipeline", 0.40},
        std::tuple{"1,000 selects at once", "tenon find_many", "tenon pipeline", 0.45},
    };
    std::vector<figure> further;
    for (comparison& what : comparisons(work)) {
        if (what.name.find(only) == std::string::npos)
            continue;
        const bool apart = what.name.ends_with("separate cores");
        if (!work.place(apart ? placement::separate_cores : placement::one_core)) {
            std::cerr << what.name << ": client and server cannot be pinned to cores here\n";
            if (apart)
                for (contender& one : what.contenders)
                    one.run = nullptr;
        }
        const bool large = what.items > listed;
        const timings measured = measure(what, large ? std::max(5, rounds / 5) : rounds);
        out.add(summary(what, measured));
        for (const auto& [comparison, ours, theirs, bar] : versus)
            if (what.name == comparison)
                further.push_back({.name = what.name + ": " + ours + " / " + theirs,
                                   .value = measured.ratio(what.index_of(ours), what.index_of(theirs)),
                                   .unit = "ratio",
                                   .bar = bar});
    }
    for (figure& one : further)
        out.add(std::move(one));
    count_allocations(work, out);
    out.print();
    out.write();
    std::cout << "\nwritten to bench-report/access.json and bench-report/access.svg\n";
    return 0;
}

int run(const std::vector<std::string_view>& arguments) {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    if (url == nullptr) {
        std::cerr << "TENON_DATABASE_URL is not set: ./dev bench access runs this on a server of its own\n";
        return 2;
    }
    const std::string_view mode = arguments.empty() ? std::string_view() : arguments[0];
    if (mode == "--make" || mode == "--drop") {
        tables both(url);
        mode == "--make" ? both.make() : both.drop();
        return 0;
    }
    if (mode == "--list" || (mode == "--instructions" && arguments.size() == 4)) {
        workload work(url, bulk_for_instructions);
        if (mode == "--instructions")
            return run_for_instructions(work, arguments[1], arguments[2], std::atoi(arguments[3].data()));
        list_contenders(work);
        return 0;
    }
    int rounds = 61;
    std::string_view only;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const bool has_next = i + 1 < arguments.size();
        if (arguments[i] == "--rounds" && has_next)
            rounds = std::max(1, std::atoi(arguments[++i].data()));
        else if (arguments[i] == "--only" && has_next)
            only = arguments[++i];
        else {
            std::cerr << usage;
            return 2;
        }
    }
    tables both(url);
    both.make();
    int status = 1;
    try {
        workload work(url);
        status = run_all(work, rounds, only);
    } catch (...) {
        both.drop();
        throw;
    }
    both.drop();
    return status;
}

} // namespace

int main(int argc, char** argv) try { return run({argv + 1, argv + argc}); } catch (const std::exception& error) {
    std::cerr << "access_bench: " << error.what() << '\n';
    return 1;
}
