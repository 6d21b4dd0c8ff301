// A pool and its transactions. docs/guide/pool.md shows the parts between //[name and //].
#include <cstdlib>
#include <iostream>

#include <tenon/tenon.hpp>

using tenon::col;
using namespace std::chrono_literals;

struct Account {
    std::int64_t id{};
    std::string owner;
    std::int64_t balance{};

    static constexpr auto table = tenon::table("example_account", tenon::key<&Account::id>);
};

int main() try {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    //[pool
    tenon::pool db{url ? url : "postgresql:///postgres",
                   {.max_size = 8, .min_size = 1, .acquire_timeout = 2s, .name = "main"}};
    db.warm_up(10s); // the first request need not wait for a session
    //]

    db.transact([](tenon::transaction& tx) {
        tx.execute("drop table if exists example_account");
        tenon::create_table<Account>(tx);
        tenon::repository<Account>{tx}.insert_many(std::vector<Account>{{1, "Ada", 100}, {2, "Grace", 50}});
    });

    //[transact
    const auto transfer = [&db](std::int64_t from, std::int64_t to, std::int64_t amount) {
        // Runs again after a serialization failure or a deadlock, for two seconds at most.
        return db.transact({.level = tenon::isolation::serializable, .attempts = 10, .deadline = 2s},
                           [&](tenon::transaction& tx) {
                               tenon::repository<Account> accounts{tx};
                               if (accounts.get(from).balance < amount)
                                   throw std::runtime_error("not enough in account " + std::to_string(from));
                               accounts.update(from, col<&Account::balance> -= amount);
                               tx.on_commit([amount] { std::cout << amount << " moved\n"; }); // once, after the commit
                               return accounts.update(to, col<&Account::balance> += amount).balance;
                           });
    };
    const std::int64_t balance = transfer(1, 2, 30);
    std::cout << "Grace has " << balance << '\n';
    //]

    //[part
    db.transact([](tenon::transaction& tx) {
        tenon::repository<Account> accounts{tx};
        accounts.insert({3, "Mary", 0});
        try {
            tx.transact([&](tenon::transaction&) { accounts.insert({1, "Ada again", 0}); });
        } catch (const tenon::unique_violation&) {
            std::cout << "account 1 was there; the transaction goes on\n";
        }
    });
    //]

    //[outcome
    try {
        db.transact({.keep_id = true}, [](tenon::transaction& tx) {
            tenon::repository<Account>{tx}.update(std::int64_t{3}, col<&Account::balance> += 5);
        });
    } catch (const tenon::connection_lost& lost) {
        if (!lost.outcome_unknown())
            throw; // nothing was stored
        const auto state =
            db.transact([&](tenon::transaction& tx) { return tenon::commit_status(tx, lost.transaction_id()); });
        if (state == tenon::commit_state::rolled_back)
            std::cout << "not stored: it may be done again\n";
    }
    //]

    //[read_only
    const tenon::wal_position written = db.position();
    const std::int64_t sum = db.read_only({.max_lag = 500ms, .after = written}, [](tenon::transaction& tx) {
        return tenon::query<std::int64_t>{"select sum(balance)::bigint from example_account"}.one(tx);
    });
    //]

    //[health
    const tenon::pool_health health = db.health();
    if (health.state != tenon::pool_health::condition::ready)
        std::cout << health.reason << ": " << health.last_error << '\n';
    //]
    db.transact([](tenon::transaction& tx) { tx.execute("drop table example_account"); });
    std::cout << sum << " in all, " << db.status().active << " connections lent\n";
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
