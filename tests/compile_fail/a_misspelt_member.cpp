// expect: ('emial' is not a member of 'User'|no member named 'emial' in 'User')
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    (void)tenon::repository<User>{tx}.where(col<&User::emial> == "a");
}
