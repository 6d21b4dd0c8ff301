// expect: tenon: a query's result outlives its rows, so it cannot hold a string_view or bytes_view
#include "user.hpp"

void misuse(tenon::transaction& tx) {
    (void)tenon::query<std::string_view>{"select email from users"}.one(tx);
}
