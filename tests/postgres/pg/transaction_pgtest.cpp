#include <tenon/pg/transaction.hpp>

#include <atomic>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/pg/savepoint.hpp>

#include "postgres/testing/ask.hpp"
#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Account {
    tenon::id<Account> id{};
    std::int64_t balance{};

    static constexpr auto table = tenon::table("account", tenon::key<&Account::id>);
};

struct bank : database_fixture {
    bank() {
        run("create table account (id bigint primary key, balance bigint not null check (balance >= 0));"
            "insert into account values (1, 100), (2, 100)");
    }

    std::int64_t balance(std::int64_t id) {
        transaction tx(db);
        return repository<Account>{tx}.get(tenon::id<Account>{id}).balance;
    }
};

} // namespace

TEST_CASE("what is committed stays, what is not is gone") {
    bank t;
    {
        transaction tx(t.db);
        repository<Account>{tx}.update({.id = {1}, .balance = 50});
    }
    CHECK(t.balance(1) == 100);

    transaction tx(t.db);
    repository<Account>{tx}.update({.id = {1}, .balance = 50});
    tx.commit();
    CHECK_FALSE(tx.is_open());
    CHECK(t.balance(1) == 50);
}

TEST_CASE("a transaction that was never used can be committed") {
    bank t;
    transaction tx(t.db);
    tx.commit();
    CHECK(t.balance(1) == 100);
}

TEST_CASE("an ended transaction refuses further use") {
    bank t;
    transaction tx(t.db);
    tx.commit();
    CHECK_THROWS_AS(tx.commit(), usage_error);
    CHECK_THROWS_AS(tx.execute("select 1"), usage_error);
    CHECK_NOTHROW(tx.rollback());
}

TEST_CASE("a second transaction on the same connection is refused") {
    bank t;
    transaction first(t.db);
    CHECK_THROWS_AS(transaction(t.db), usage_error);
    first.execute("select 1");
    CHECK_THROWS_AS(transaction(t.db), usage_error);
    first.rollback();
    CHECK_NOTHROW(transaction(t.db));
}

TEST_CASE("after a statement failed through tenon, commit throws and nothing is stored") {
    bank t;
    transaction tx(t.db);
    repository<Account> accounts{tx};
    accounts.update({.id = {1}, .balance = 50});
    CHECK_THROWS_AS(accounts.update({.id = {2}, .balance = -1}), check_violation);

    try {
        tx.commit();
        FAIL("committed");
    } catch (const failed_transaction& refused) {
        CHECK_THAT(refused.what(), ContainsSubstring("nothing was stored") && ContainsSubstring("check constraint"));
        CHECK(refused.sqlstate() == "23514");
    }
    CHECK(t.balance(1) == 100);
}

TEST_CASE("after a statement failed through libpqxx, commit throws and nothing is stored") {
    bank t;
    transaction tx(t.db);
    repository<Account>{tx}.update({.id = {1}, .balance = 50});
    CHECK_THROWS_AS(as_pqxx(tx).exec("insert into account values (1, 1)"), pqxx::unique_violation);

    CHECK_THROWS_AS(tx.commit(), failed_transaction);
    CHECK(t.balance(1) == 100);
}

TEST_CASE("a statement that failed through tenon fails libpqxx's next one, too") {
    bank t;
    transaction tx(t.db);
    CHECK_THROWS_AS(tx.execute("insert into account values (1, 1)"), unique_violation);
    CHECK_THROWS_AS(as_pqxx(tx).exec("select 1"), pqxx::sql_error);
    CHECK_THROWS_AS(tx.commit(), failed_transaction);
}

TEST_CASE("a transaction ended by other code is noticed at the next statement, and at commit") {
    bank t;
    {
        transaction tx(t.db);
        tx.execute("update account set balance = 1 where id = 1");
        as_pqxx(tx).exec("rollback");
        CHECK_THROWS_AS(tx.execute("update account set balance = 2 where id = 1"), usage_error); // it would stand alone
        CHECK_THROWS_AS(tx.commit(), usage_error);
    }
    CHECK(t.balance(1) == 100);
}

TEST_CASE("transaction control as SQL gives the connection up, so that nothing more is run in another transaction") {
    bank t;
    const char* const control =
        GENERATE("commit", "commit; begin", "commit and chain", "rollback; begin", "select 1; commit; begin",
                 "prepare transaction 'x'", "begin", "rollback", "abort", "rollback and chain", "ROLLBACK AND CHAIN",
                 "rollback; select 1", "savepoint chain; rollback and chain");
    CAPTURE(control);
    connection db{t.database.url()};
    transaction tx(db);
    const bool first = GENERATE(true, false);
    if (!first)
        tx.execute("update account set balance = 1 where id = 1");
    CHECK_THROWS_AS(tx.execute(control), usage_error);
    CHECK_THROWS_AS(tx.execute("update account set balance = 2 where id = 1"), connection_lost);
    CHECK_THROWS_AS(tx.commit(), connection_lost);
    if (std::string_view(control).starts_with("prepare"))
        ask(t.database.url(), "rollback prepared 'x'");
}

TEST_CASE("savepoints as SQL are no transaction control") {
    bank t;
    transaction tx(t.db);
    tx.execute("savepoint a; update account set balance = 1 where id = 1; rollback to a; release a");
    tx.commit();
    CHECK(t.balance(1) == 100);
}

TEST_CASE("a constraint that is checked at commit throws there") {
    bank t;
    t.run("create table child (parent bigint references account deferrable initially deferred)");
    transaction tx(t.db);
    tx.execute("insert into child values (77)");
    CHECK_THROWS_AS(tx.commit(), foreign_key_violation);
    CHECK_NOTHROW(t.run("select 1"));
}

TEST_CASE("libpqxx works in the same transaction and sees its rows") {
    bank t;
    transaction tx(t.db);
    repository<Account>{tx}.update({.id = {1}, .balance = 7});
    CHECK(as_pqxx(tx).query_value<int>("select balance from account where id = 1") == 7);
    as_pqxx(tx).exec("update account set balance = 8 where id = 1");
    CHECK(repository<Account>{tx}.get(tenon::id<Account>{1}).balance == 8);
    tx.commit();
    CHECK(t.balance(1) == 8);
}

TEST_CASE("libpqxx may come first: the transaction has begun by then") {
    bank t;
    {
        transaction tx(t.db);
        as_pqxx(tx).exec("update account set balance = 8 where id = 1");
    }
    CHECK(t.balance(1) == 100);
}

TEST_CASE("libpqxx cannot commit what belongs to tenon") {
    bank t;
    transaction tx(t.db);
    as_pqxx(tx).exec("update account set balance = 8 where id = 1");
    CHECK_THROWS_AS(as_pqxx(tx).commit(), pqxx::usage_error);
}

TEST_CASE("libpqxx serves one transaction after another on the same session") {
    bank t;
    for (int round = 0; round < 3; ++round) {
        transaction tx(t.db);
        pqxx::stream_to::table(as_pqxx(tx), {"account"}, {"id", "balance"}).write_values(10 + round, 1);
        tx.commit();
    }
    CHECK(t.balance(12) == 1);
}

TEST_CASE("libpqxx and tenon take turns through one kept reference") {
    bank t;
    transaction tx(t.db);
    pqxx::dbtransaction& peer = as_pqxx(tx);
    for (int round = 0; round < 3; ++round) {
        pqxx::stream_to::table(peer, {"account"}, {"id", "balance"}).write_values(10 + round, 1);
        CHECK(repository<Account>{tx}.count() == 3 + round);
        peer.exec("select 1");
    }
    tx.commit();
    CHECK(t.balance(12) == 1);
}

TEST_CASE("a failure that a savepoint undid is not blamed for a later one") {
    bank t;
    transaction tx(t.db);
    try {
        savepoint attempt(tx);
        tx.execute("insert into account values (1, 1)");
    } catch (const unique_violation&) {
    }
    CHECK_THROWS_AS(tx.execute("update account set balance = -1"), check_violation);
    try {
        tx.commit();
        FAIL("committed");
    } catch (const failed_transaction& refused) {
        CHECK(refused.sqlstate() == "23514");
    }
}

TEST_CASE("the isolation level is the transaction's own, whatever the default of the role") {
    bank t;
    t.run("do $$ begin execute format('alter database %I set default_transaction_isolation = serializable',"
          " current_database()); end $$");
    connection db{t.database.url()};
    transaction tx(db);
    CHECK(as_pqxx(tx).query_value<std::string>("show transaction_isolation") == "read committed");
}

TEST_CASE("isolation, read only and deferrable reach the server") {
    bank t;
    const auto setting = [](transaction& tx, const char* name) {
        return as_pqxx(tx).query_value<std::string>(std::string("show ") + name);
    };
    {
        transaction tx(t.db, {.level = isolation::serializable, .read_only = true, .deferrable = true});
        CHECK(setting(tx, "transaction_isolation") == "serializable");
        CHECK(setting(tx, "transaction_read_only") == "on");
        CHECK(setting(tx, "transaction_deferrable") == "on");
        CHECK_THROWS_AS(tx.execute("delete from account"), error);
    }
    transaction tx(t.db, {.level = isolation::repeatable_read});
    CHECK(setting(tx, "transaction_isolation") == "repeatable read");
    CHECK(setting(tx, "transaction_read_only") == "off");
}

TEST_CASE("execute runs scripts and parameters and counts rows") {
    bank t;
    transaction tx(t.db);
    CHECK(tx.execute("update account set balance = 1; update account set balance = 2 where id = 1") == 1);
    CHECK(tx.execute("update account set balance = $1 where id <= $2", std::int64_t{5}, std::int64_t{2}) == 2);
    CHECK(tx.execute("delete from account where balance = 4") == 0);
}

TEST_CASE("a parameter of the wrong type is refused before it is executed") {
    bank t;
    transaction tx(t.db);
    try {
        tx.execute("update account set balance = 1 where id = $1", std::string("1"));
        FAIL("accepted");
    } catch (const schema_mismatch& refused) {
        CHECK_THAT(refused.what(), ContainsSubstring("$1 is bigint"));
    }
    CHECK(tx.execute("select 1") == 1); // nothing was executed, so the transaction lives
    CHECK_THROWS_AS(tx.execute("select $1::int + $2::int", 1), schema_mismatch);
}

TEST_CASE("COPY through execute is refused and the session survives or says so") {
    bank t;
    {
        transaction tx(t.db);
        CHECK_THROWS_AS(tx.execute("copy account from stdin"), error);
    }
    CHECK(t.balance(1) == 100);
    transaction tx(t.db);
    CHECK_THROWS_AS(tx.execute("copy account to stdout"), connection_lost);
}

TEST_CASE("transact commits, and gives back what the lambda returns") {
    bank t;
    const auto answer =
        t.db.transact([](transaction& tx) { return repository<Account>{tx}.update({.id = {1}, .balance = 3}); });
    CHECK(answer.balance == 3);
    CHECK(t.balance(1) == 3);
    t.db.transact([](transaction& tx) { tx.execute("update account set balance = 4"); });
    CHECK(t.balance(1) == 4);
}

TEST_CASE("transact rolls back when the lambda throws, and does not run it again") {
    bank t;
    int runs = 0;
    CHECK_THROWS_AS(t.db.transact([&](transaction& tx) {
        ++runs;
        tx.execute("update account set balance = 3");
        throw std::runtime_error("changed my mind");
    }),
                    std::runtime_error);
    CHECK(runs == 1);
    CHECK(t.balance(1) == 100);
}

TEST_CASE("transact runs again after a serialization failure, whoever met it") {
    bank t;
    const bool through_libpqxx = GENERATE(false, true);
    int runs = 0;
    t.db.transact({.level = isolation::serializable}, [&](transaction& tx) {
        const auto mine = repository<Account>{tx}.get(tenon::id<Account>{1});
        if (++runs == 1) { // somebody else writes what we have read, and commits
            connection other{t.database.url()};
            other.transact(
                [](transaction& rival) { rival.execute("update account set balance = balance + 1 where id = 1"); });
        }
        if (through_libpqxx)
            as_pqxx(tx).exec("update account set balance = " + std::to_string(mine.balance + 10) + " where id = 1");
        else
            repository<Account>{tx}.update({.id = {1}, .balance = mine.balance + 10});
    });
    CHECK(runs == 2);
    CHECK(t.balance(1) == 111);
}

TEST_CASE("transact runs again even if the lambda swallowed the failure") {
    bank t;
    int runs = 0;
    t.db.transact({.level = isolation::repeatable_read}, [&](transaction& tx) {
        tx.execute("select * from account");
        if (++runs == 1) {
            connection other{t.database.url()};
            other.transact([](transaction& rival) { rival.execute("update account set balance = 1 where id = 1"); });
        }
        try {
            tx.execute("update account set balance = 2 where id = 1");
        } catch (const serialization_failure&) {
        }
    });
    CHECK(runs == 2);
    CHECK(t.balance(1) == 2);
}

TEST_CASE("transact gives up after its attempts") {
    bank t;
    int runs = 0;
    const transaction_options how{
        .level = isolation::repeatable_read, .attempts = 3, .backoff = std::chrono::milliseconds(1)};
    CHECK_THROWS_AS(t.db.transact(how,
                                  [&](transaction& tx) {
                                      ++runs;
                                      tx.execute("select * from account");
                                      connection other{t.database.url()};
                                      other.transact([](transaction& rival) {
                                          rival.execute("update account set balance = balance + 1 where id = 1");
                                      });
                                      tx.execute("update account set balance = 2 where id = 1");
                                  }),
                    serialization_failure);
    CHECK(runs == 3);
}

TEST_CASE("a deadlock is resolved by running one of the two again") {
    bank t;
    std::atomic<int> runs{0};
    const auto swap = [&](std::int64_t first, std::int64_t second) {
        connection db{t.database.url()};
        db.transact([&](transaction& tx) {
            ++runs;
            tx.execute("set local deadlock_timeout = '10ms'");
            tx.execute("update account set balance = balance + 1 where id = $1", first);
            tx.execute("select pg_sleep(0.02)"); // lets the other take its first lock
            tx.execute("update account set balance = balance + 1 where id = $1", second);
        });
    };
    int rounds = 0;
    do { // until the two have met; each round deadlocks all but surely
        std::jthread one([&] { swap(1, 2); });
        std::jthread two([&] { swap(2, 1); });
        one.join();
        two.join();
        ++rounds;
    } while (runs == 2 * rounds && rounds < 50);
    CHECK(runs > 2 * rounds);
    CHECK(t.balance(1) == 100 + 2 * rounds);
}
