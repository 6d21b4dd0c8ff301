// Many rows at once. docs/guide/bulk.md shows the parts between //[name and //].
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <tenon/tenon.hpp>

using tenon::col;

struct Reading {
    tenon::id<Reading> id{};
    std::int32_t sensor{};
    double value{};

    static constexpr auto table =
        tenon::table("bulk_readings", tenon::key<&Reading::id>, tenon::generated<&Reading::id>);
};

struct Sensor {
    std::int32_t id{};
    std::string name;

    static constexpr auto table = tenon::table("bulk_sensors", tenon::key<&Sensor::id>);
};

int main() try {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    tenon::connection db{url ? url : "postgresql:///postgres"};
    tenon::transaction tx{db}; // never committed: the example leaves nothing behind
    tenon::create_table<Reading>(tx);
    tenon::create_table<Sensor>(tx);

    //[insert_many
    tenon::repository<Reading> readings{tx};
    const std::vector<Reading> morning{{.sensor = 1, .value = 20.5}, {.sensor = 2, .value = 19.0}};
    const std::vector<tenon::id<Reading>> ids = readings.insert_many(morning);
    //]

    //[copy_in
    const std::uint64_t copied = readings.copy_in([](auto& sink) {
        for (std::int32_t i = 0; i < 100'000; ++i)
            sink(Reading{.sensor = i % 100, .value = 0.001 * i});
    });
    //]

    //[upsert_many
    tenon::repository<Sensor> sensors{tx};
    sensors.upsert_many(std::vector<Sensor>{{1, "door"}, {2, "roof"}});
    const std::uint64_t changed = sensors.merge(std::vector<Sensor>{{1, "door"}, {2, "attic"}, {3, "cellar"}});
    //]

    //[find_many
    const std::vector<Reading> found = readings.find_many(ids);
    //]

    //[stream
    double warmest = 0;
    for (const Reading& reading : readings.where(col<&Reading::sensor> == 7).stream())
        warmest = std::max(warmest, reading.value);
    //]

    //[copy_out
    std::size_t rows = 0;
    for ([[maybe_unused]] const Reading& reading : readings.copy_out())
        ++rows;
    //]

    //[pipeline
    tenon::pending<std::optional<Reading>> first;
    tenon::pending<Reading> stored;
    tx.pipeline([&](tenon::pipeline& p) {
        first = p.find<Reading>(ids[0]);
        stored = p.insert(Reading{.sensor = 3, .value = 21.0});
    });
    std::cout << first.get()->value << " and " << stored.get().value << '\n';
    //]

    std::cout << copied << " copied, " << rows << " in all, " << found.size() << " found, warmest " << warmest << ", "
              << changed << " sensors changed\n";
} catch (const tenon::error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
