// A service with static storage that stores its last words in its destructor: the pool outlives it, and what tenon
// keeps for itself must, too. Under the address sanitizer a read of what was destroyed ends the program.
#include <iostream>

#include <tenon/pg/pool.hpp>
#include <tenon/testing/test_database.hpp>

namespace {

struct lab {
    tenon::testing::test_database database{};
    tenon::pool db{database.url(), {.max_size = 1}};
};

lab& the_lab() {
    static lab one;
    return one;
}

struct service {
    service() = default;
    service(const service&) = delete;
    service& operator=(const service&) = delete;
    ~service() {
        try {
            the_lab().db.transact({.level = tenon::isolation::serializable},
                                  [](tenon::transaction& tx) { tx.execute("select $1::int", 1); });
            std::cout << "last words stored" << std::endl;
        } catch (const tenon::error& failure) {
            std::cout << "last words: " << failure.what() << std::endl;
        }
    }
};

} // namespace

int main() {
    (void)the_lab();
    static const service last; // constructed behind the pool, so destroyed before it
    the_lab().db.transact([](tenon::transaction& tx) { tx.execute("select 1"); }); // makes what is made at first use
}
