// SQL of one's own with types. docs/guide/raw-sql.md shows the parts between //[name and //].
#include <cstdlib>
#include <iostream>

#include <tenon/tenon.hpp>

using namespace std::chrono_literals;

//[declare
struct Stats {
    std::int64_t orders{};
    std::optional<double> revenue{};
};

constexpr tenon::query<Stats, std::string> stats_of{
    "select count(*) as orders, sum(total) as revenue from raw_orders where customer = $1"};
constexpr tenon::query<std::tuple<std::string, std::int64_t>> per_customer{
    "select customer, count(*) from raw_orders group by customer order by customer"};
constexpr tenon::query<void, double> raise_prices{"update raw_orders set total = total * $1"};
//]

int main() try {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    tenon::connection db{url ? url : "postgresql:///postgres"};
    tenon::transaction tx{db}; // never committed: the example leaves nothing behind
    //[execute
    tx.execute("create table raw_orders (customer text not null, total double precision)");
    tx.execute("insert into raw_orders values ($1, $2), ($1, 3)", std::string("ada"), 2.5);
    //]

    //[check
    tenon::check_queries(tx, stats_of, per_customer, raise_prices);
    //]

    //[run
    const Stats ada = stats_of.one(tx, "ada");
    for (const auto& [customer, orders] : per_customer.all(tx))
        std::cout << customer << " ordered " << orders << " times for " << ada.revenue.value_or(0) << '\n';
    std::cout << raise_prices.run(tx, 1.1) << " prices raised\n";
    //]

    //[deadline
    try {
        const tenon::deadline limit{tx, 100ms};
        tx.execute("select pg_sleep(60)");
    } catch (const tenon::deadline_exceeded&) {
        std::cout << "cancelled\n";
    }
    //]
} catch (const tenon::error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
