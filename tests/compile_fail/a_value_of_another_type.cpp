// expect: tenon: this column cannot be compared with a value of that type
#include "user.hpp"

auto misuse() {
    return col<&User::email> == 42;
}
