// The decoder of chunked bodies: the same body, end and verdict however the bytes are cut, and never more data than
// came in.
#include "wire/chunked.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

struct Outcome {
    std::string body, reason;
    bool done = false;
    std::size_t used = 0;
    bool operator==(const Outcome&) const = default;
};

Outcome decode(std::string_view bytes, const wire::ServerLimits& limits, const std::uint8_t* sizes)
{
    wire::Chunked chunked(limits);
    Outcome out;
    std::size_t at = 0;
    for (std::size_t turn = 0; at < bytes.size() && !out.done; ++turn) {
        const auto size = sizes ? std::size_t{sizes[turn % 4]} % 16 + 1 : bytes.size();
        auto in = bytes.substr(at, size);
        const auto given = in.size();
        while (!in.empty() && !out.done) {
            std::string_view data;
            const auto state = chunked.next(in, data);
            if (state == wire::Chunked::State::Refused) {
                out.reason = chunked.refusal().reason;
                return out;
            }
            if (state == wire::Chunked::State::Data) out.body += data;
            out.done = state == wire::Chunked::State::Done;
        }
        at += given - in.size();
        if (!out.done && !in.empty()) std::abort(); // More must use everything up
    }
    out.used = at;
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 4) return 0;
    wire::ServerLimits limits;
    limits.chunk_extensions = 64;
    limits.header_field = 64;
    limits.header_total = 256;
    limits.header_count = 6;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    const auto whole = decode(bytes, limits, nullptr), cut = decode(bytes, limits, data);
    if (!(whole == cut) || whole.body.size() > bytes.size()) {
        std::fprintf(stderr, "whole: %s %zu, cut: %s %zu\n", whole.reason.c_str(), whole.used, cut.reason.c_str(),
                     cut.used);
        std::abort();
    }
    return 0;
}
