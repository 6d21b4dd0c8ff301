// A plain struct, stored and found again. Run it with `./dev quickstart`.
#include <chrono>
#include <cstdlib>
#include <iostream>

#include <tenon/tenon.hpp>

using namespace std::chrono_literals;
using tenon::col;

struct User {
    tenon::id<User> id{};
    std::string email;
    std::string name;
    std::optional<std::string> bio{};
    tenon::timestamp created_at{};

    static constexpr auto table =
        tenon::table("quickstart_users", tenon::key<&User::id>, tenon::generated<&User::id, &User::created_at>);
};

int main() try {
    const char* const url = std::getenv("TENON_DATABASE_URL");
    tenon::pool db{url ? url : "postgresql:///postgres", {.max_size = 8, .acquire_timeout = 2s}};

    db.transact([&](tenon::transaction& tx) {
        tenon::create_table<User>(tx);
        tenon::repository<User> users{tx};

        const User ada = users.insert({.email = "ada@example.org", .name = "Ada"}); // the stored row
        users.insert({.email = "grace@example.org", .name = "Grace"});
        std::cout << "stored " << users.count() << " users; Ada is number " << ada.id.value << '\n';

        if (const std::optional<User> found = users.find(ada.id))
            users.update(found->id, col<&User::bio>, "First of her name");

        const auto last_week = std::chrono::system_clock::now() - 24h * 7;
        for (const User& user : users.where(col<&User::name> == "Ada" && col<&User::created_at> > last_week)
                                    .order_by(desc(col<&User::created_at>))
                                    .limit(10))
            std::cout << user.email << ": " << user.bio.value_or("no bio") << '\n';
    });
} catch (const tenon::error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
