// expect: tenon: this struct is not mapped to a table: give it `static constexpr auto table
#include "user.hpp"

struct Plain {
    int number;
};

void misuse(tenon::transaction& tx) {
    (void)tenon::repository<Plain>{tx}.find(1);
}
