// expect: tenon: both sides of && and .. must be about columns of the same record
#include "user.hpp"

auto misuse() {
    return col<&User::email> == "a" && col<&Role::name> == "b";
}
