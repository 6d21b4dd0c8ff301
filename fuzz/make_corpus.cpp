// Writes the corpus: the encoded samples of every decoder as <folder>/<decoder>/<number>.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "decoders.hpp"

int main(int count, char** arguments) {
    if (count != 2) {
        std::cerr << "usage: make_corpus <folder>\n";
        return 2;
    }
    const std::filesystem::path folder = arguments[1];
    tenon::fuzz::for_each_decoder([&]<class Decoder>() {
        using value_type = typename Decoder::type;
        std::filesystem::create_directories(folder / Decoder::name);
        int number = 0;
        for (const value_type& value : tenon::fuzz::samples<value_type>::values()) {
            tenon::buffer out;
            tenon::encode(value, out);
            std::ofstream(folder / Decoder::name / std::to_string(number++), std::ios::binary) << out.bytes();
        }
    });
}
