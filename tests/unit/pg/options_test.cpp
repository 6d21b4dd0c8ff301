#include <tenon/pg/pool.hpp>

#include <functional>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

using namespace tenon;
using namespace std::chrono_literals;

TEST_CASE("a wrong option is refused with its name and rule") {
    struct {
        std::string name;
        std::function<void(pool_options&)> mutate;
        std::string message;
    } const cases[]{
        {"no connections", [](auto& o) { o.max_size = 0; }, "pool_options::max_size must be 1 to 10,000"},
        {"too many", [](auto& o) { o.max_size = 10'001; }, "pool_options::max_size must be 1 to 10,000"},
        {"no wait", [](auto& o) { o.acquire_timeout = 0ms; }, "pool_options::acquire_timeout must be more than 0"},
        {"negative life", [](auto& o) { o.max_lifetime = -1ms; },
         "pool_options::max_lifetime must not be negative; 0 keeps sessions for ever"},
        {"no dial", [](auto& o) { o.connection.connect_timeout = 0ms; },
         "connection_options::connect_timeout must be more than 0"},
        {"negative answer", [](auto& o) { o.connection.response_timeout = -1ms; },
         "connection_options::response_timeout must not be negative; 0 waits for ever"},
    };
    for (const auto& wrong : cases) {
        INFO(wrong.name);
        pool_options options;
        REQUIRE_NOTHROW(options.validate());
        wrong.mutate(options);
        try {
            options.validate();
            FAIL("accepted");
        } catch (const usage_error& refused) {
            CHECK(refused.what() == wrong.message);
        }
    }
}
