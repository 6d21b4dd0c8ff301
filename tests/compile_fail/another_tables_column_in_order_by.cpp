// expect: tenon: order_by takes columns of this repository.s record only
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    (void)tenon::repository<User>{tx}.order_by(col<&Role::name>);
}
