// expect: tenon: update takes columns of this repository.s record only
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    tenon::repository<User>{tx}.update(tenon::id<User>{1}, col<&Role::name>, "a");
}
