// expect: tenon: a value of this type cannot be assigned to this column
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    tenon::repository<User>{tx}.update(tenon::id<User>{1}, col<&User::email>, 42);
}
