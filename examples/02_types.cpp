// What PostgreSQL's types are in C++. docs/guide/types.md shows the parts between //[name and //].
#include <chrono>
#include <cstdlib>
#include <iostream>

#include <tenon/tenon.hpp>

using namespace std::chrono_literals;
using tenon::col;

//[composite
struct Address {
    std::string street;
    std::optional<std::string> zip{};

    static constexpr auto type = tenon::composite("address");
};
//]

//[record
struct Booking {
    tenon::id<Booking> id{};
    tenon::numeric price{};
    tenon::range<tenon::timestamp> during{};
    tenon::interval notice{};
    tenon::time_of_day breakfast{};
    std::vector<std::string> guests{};
    Address address{};
    tenon::inet booked_from{};
    tenon::json_text extras{};

    static constexpr auto table =
        tenon::table("types_bookings", tenon::key<&Booking::id>, tenon::generated<&Booking::id>);
};
//]

//[own
struct Celsius {
    double degrees{};
};

template <>
struct tenon::codec<Celsius> {
    static constexpr tenon::pg_type type = tenon::codec<double>::type;
    static void encode(const Celsius& value, tenon::buffer& out) { tenon::encode(value.degrees, out); }
    static Celsius decode(tenon::wire_value value) { return {tenon::codec<double>::decode(value)}; }
};
//]

int main() try {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    tenon::connection db{url ? url : "postgresql:///postgres"};
    tenon::transaction tx{db};

    tx.execute("create type address as (street text, zip text)");
    tenon::create_table<Booking>(tx);
    tenon::repository<Booking> bookings{tx};

    //[insert
    const tenon::timestamp arrival{std::chrono::sys_days{2026y / 7 / 1} + 15h};
    const Booking stored = bookings.insert({.price = tenon::numeric::parse("129.90").value(),
                                            .during = {.lower = arrival, .upper = arrival + 72h},
                                            .notice = {.months = 1, .days = 3},
                                            .breakfast = {8h + 30min},
                                            .guests = {"Ada", "Grace"},
                                            .address = {.street = "12 St James's Square"},
                                            .booked_from = tenon::inet::parse("192.0.2.7").value(),
                                            .extras = {R"({"view": "garden"})"}});
    //]
    std::cout << stored.price.to_string() << ", " << stored.guests.size() << " guests, from "
              << stored.booked_from.to_string() << ", " << stored.extras.text << '\n';

    //[numeric
    const auto price = tenon::numeric::parse("1.50").value();
    std::cout << price.to_string() << (price == tenon::numeric::parse("1.5") ? " equals 1.5" : "") << '\n';
    if (!price.to_int64())
        std::cout << "and is no whole number\n";
    //]

    //[range
    const auto days = tenon::range<std::int32_t>{.lower = 1, .upper = 10, .upper_inclusive = true};
    tx.execute("create temporary table seasons (days int4range)");
    tx.execute("insert into seasons values ($1)", days);
    constexpr tenon::query<tenon::range<std::int32_t>> seasons{"select days from seasons"};
    const auto canonical = seasons.one(tx);
    std::cout << *canonical.lower << " to " << *canonical.upper << ", which it does"
              << (canonical.contains(11) ? "" : " not") << " contain\n";
    //]

    //[array
    constexpr tenon::query<tenon::array<std::optional<std::int32_t>>> matrix{"select '{{1,2},{3,NULL}}'::integer[]"};
    const auto cells = matrix.one(tx);
    std::cout << cells.dimensions.size() << " dimensions, [2][1] is " << cells.at({2, 1}).value() << '\n';
    //]

    //[own_use
    constexpr tenon::query<Celsius, Celsius> warmer{"select $1 + 0.5::double precision"};
    std::cout << warmer.one(tx, Celsius{21.0}).degrees << " degrees\n";
    //]
} catch (const tenon::error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
