// expect: tenon: a record is an aggregate struct without bases and constructors
#include "user.hpp"

struct Admin : User {
    int level;

    static constexpr auto table = tenon::table("admins");
};

void misuse(tenon::transaction& tx) {
    tenon::repository<Admin> admins{tx};
}
