// What the refused programs look like when they are right: this one must compile.
#include "user.hpp"

struct Glimpse {
    tenon::id<Glimpse> id{};
    std::string_view email;

    static constexpr auto table = tenon::table("users", tenon::key<&Glimpse::id>);
};

void control(tenon::transaction& tx) {
    tenon::repository<User> users{tx};
    (void)users.find(tenon::id<User>{1});
    (void)users.where(col<&User::email> == "a").order_by(desc(col<&User::email>)).all();
    (void)tenon::repository<Glimpse>{tx}.every().rows();
    users.update(tenon::id<User>{1}, col<&User::email>, "b");
}
