// expect: tenon: these are not the types of the record.s key fields, in their order
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    (void)tenon::repository<User>{tx}.find(tenon::id<Role>{1});
}
