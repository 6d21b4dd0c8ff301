// libpqxx beside tenon, in a consumer's program.
#include <iostream>

#include <tenon/pg/pqxx_interop.hpp>

int main() {
    std::cout << "libpqxx " << PQXX_VERSION << '\n';
}
