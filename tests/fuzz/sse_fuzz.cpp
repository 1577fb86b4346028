// Any bytes as an event stream, lines and AWS frames: the pieces put together are the body, and do not depend on the
// cuts.
#include "wire/frames.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Cut {
    std::vector<std::string> pieces;
    std::string raw;
    bool failed = false;
    bool operator==(const Cut&) const = default;
};

// Feeds parts of sizes drawn from `seed`; 0: all at once. Each part is a block of its own, so that a stale view shows.
Cut cut(wire::Framing kind, std::string_view body, std::uint32_t seed, std::size_t limit)
{
    Cut out;
    wire::Cutter cutter(kind, limit);
    const auto drain = [&] {
        for (;;) {
            wire::Piece piece;
            const auto more = cutter.next(piece);
            if (!more) {
                out.failed = true;
                return false;
            }
            if (!*more) return true;
            out.pieces.push_back(std::string(piece.event) + '\0' + std::string(piece.data) + '\0' +
                                 std::string(piece.raw));
            out.raw += piece.raw;
        }
    };
    auto left = body;
    while (!left.empty()) {
        auto size = left.size();
        if (seed != 0) {
            seed = seed * 1664525 + 1013904223;
            size = std::min<std::size_t>(size, 1 + (seed >> 24) % (1 + (seed >> 16) % 32));
        }
        const std::vector<char> part(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(size));
        left.remove_prefix(size);
        cutter.feed({part.data(), part.size()});
        if (!drain()) return out;
    }
    cutter.close();
    if (drain() && out.raw + std::string(cutter.tail()) != body) std::abort();
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size)
{
    if (size < 2) return 0;
    const std::string_view body(reinterpret_cast<const char*>(bytes) + 2, size - 2);
    const std::size_t limit = (bytes[0] & 1) != 0 ? 40 : 1 << 20;
    for (const auto kind : {wire::Framing::Sse, wire::Framing::Line, wire::Framing::Aws, wire::Framing::Whole})
        if (!(cut(kind, body, 0, limit) == cut(kind, body, 1U + bytes[1], limit))) std::abort();
    return 0;
}
