// A database of its own and a connection to it, for one test case.
#pragma once

#include <string>

#include <tenon/tenon.hpp>
#include <tenon/testing/test_database.hpp>

namespace tenon::tests {

struct database_fixture {
    testing::test_database database{};
    connection db{database.url()};

    /// Runs SQL in a transaction of its own.
    void run(const std::string& sql) {
        transaction tx(db);
        tx.execute(sql);
        tx.commit();
    }
};

} // namespace tenon::tests
