// expect: tenon: the key of this record is generated, so an upsert by key would never meet a row
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    tenon::repository<User>{tx}.upsert({.email = "a"});
}
