// The tests' main. Those of one ctest run share a server (tests/server); a program that is run by hand has its own.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include <catch2/catch_session.hpp>

int main(int argc, char** argv) {
    const char* folder = std::getenv("TENON_TEST_SERVER");
    if (folder != nullptr && std::getenv("TENON_TEST_URL") == nullptr) {
        std::ifstream file{std::string{folder} + "/url"};
        std::string url;
        if (!std::getline(file, url)) {
            std::cerr << "no server runs for TENON_TEST_SERVER=" << folder << "; ctest starts it\n";
            return 1;
        }
        ::setenv("TENON_TEST_URL", url.c_str(), 1);
    }
    return Catch::Session().run(argc, argv);
}
