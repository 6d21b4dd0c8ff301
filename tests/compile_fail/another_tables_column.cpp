// expect: tenon: where takes columns of this repository.s record only
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    (void)tenon::repository<User>{tx}.where(col<&Role::name> == "a").all();
}
