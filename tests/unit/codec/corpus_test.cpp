// The fuzzers' corpus, and their samples cut and changed, on every decoder.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <catch2/catch_test_macros.hpp>

#include "fuzz/decoders.hpp"
#include "fuzz/survives.hpp"

#include "wire_bytes.hpp"

using namespace tenon;

namespace {

// From memory that ends where the bytes end, for the address sanitizer to see a step too far.
template <class T>
bool survives(std::string_view bytes) {
    const std::unique_ptr<char[]> exact(new char[bytes.size()]); // NOLINT(modernize-avoid-c-arrays)
    std::ranges::copy(bytes, exact.get());
    return fuzz::survives<T>({exact.get(), bytes.size()});
}

} // namespace

TEST_CASE("every file of the corpus is decoded or refused, never more") {
    fuzz::for_each_decoder([]<class Decoder>() {
        INFO(Decoder::name);
        std::size_t files = 0;
        for (const auto& entry :
             std::filesystem::directory_iterator(std::filesystem::path(TENON_FUZZ_CORPUS) / Decoder::name)) {
            INFO(entry.path().filename().string());
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string bytes{std::istreambuf_iterator<char>(file), {}};
            CHECK_NOTHROW(survives<typename Decoder::type>(bytes));
            ++files;
        }
        CHECK(files > 0);
    });
}

TEST_CASE("every sample is decoded, every truncation and every changed byte decoded or refused") {
    fuzz::for_each_decoder([]<class Decoder>() {
        using value_type = typename Decoder::type;
        INFO(Decoder::name);
        for (const value_type& value : fuzz::samples<value_type>::values()) {
            const std::string whole = tests::encoded<value_type>(value);
            CHECK(survives<value_type>(whole));
            for (std::size_t at = 0; at < whole.size(); ++at) {
                CHECK_NOTHROW(survives<value_type>(whole.substr(0, at)));
                for (const char other : {'\0', '\1', '\x7F', '\x80', '\xFF'}) {
                    std::string changed = whole;
                    changed[at] = other;
                    CHECK_NOTHROW(survives<value_type>(changed));
                }
            }
            CHECK_NOTHROW(survives<value_type>(whole + '\0'));
        }
    });
}
