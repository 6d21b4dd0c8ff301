// expect: tenon: a record with string_view or bytes_view fields lives only as long as its rows
#include "user.hpp"

struct Glimpse {
    tenon::id<Glimpse> id{};
    std::string_view email;

    static constexpr auto table = tenon::table("users", tenon::key<&Glimpse::id>);
};

void misuse(tenon::transaction& tx) {
    (void)tenon::repository<Glimpse>{tx}.get(tenon::id<Glimpse>{1});
}
