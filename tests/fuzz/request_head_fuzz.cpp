// The front's parse layer: any bytes get the same verdict whole, cut where the input says, and one at a time.
#include "../wire/judge.h"

#include <cstdint>
#include <cstdio>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 4) return 0;
    auto limits = test::corpus_limits();
    limits.request_line = 128; // within the reach of short inputs
    limits.header_field = 160;
    limits.header_total = 512;
    limits.header_count = 12;
    limits.chunk_extensions = 64;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    const auto whole = test::judge(bytes, limits, [] { return std::size_t{0}; });
    std::size_t at = 0;
    const auto cut = test::judge(bytes, limits, [&] { return std::size_t{data[at++ % 4]} + 1; });
    const auto single = test::judge(bytes, limits, [] { return std::size_t{1}; });
    if (whole == cut && whole == single) return 0;
    std::fprintf(stderr, "whole:  %s\ncut:    %s\nsingle: %s\n", whole.c_str(), cut.c_str(), single.c_str());
    std::abort();
}
