// libFuzzer on the decoders of one family, which TENON_FUZZ_FAMILY names: see decoders.hpp, and `./dev fuzz`.
#include <cstdint>

#include "decoders.hpp"
#include "survives.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tenon::fuzz::for_each_decoder([&]<class Decoder>() {
        if constexpr (Decoder::family == TENON_FUZZ_FAMILY)
            (void)tenon::fuzz::survives<typename Decoder::type>({reinterpret_cast<const char*>(data), size});
    });
    return 0;
}
