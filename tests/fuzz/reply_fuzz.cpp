// Any bytes as an upstream's reply: no crash, bounded, the same whole or cut, and a body never longer than what came.
#include "wire/client_reply.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Parsed {
    int status = 0;
    std::string headers, body;
    bool failed = false, complete = false, keep_alive = false;
    bool operator==(const Parsed&) const = default;
};

Parsed parse(std::string_view bytes, bool bodiless, std::uint32_t seed)
{
    Parsed out;
    wire::ReplyParser parser;
    parser.begin(bodiless, 4096);
    bool head = false;
    while (!bytes.empty() && !parser.complete()) {
        auto size = bytes.size();
        if (seed != 0) {
            seed = seed * 1664525 + 1013904223;
            size = std::min<std::size_t>(size, 1 + (seed >> 24) % (1 + (seed >> 16) % 32));
        }
        const std::vector<char> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        bytes.remove_prefix(size);
        std::string_view unread(part.data(), part.size());
        if (!head) {
            const auto done = parser.take_head(unread);
            if (!done) {
                out.failed = true;
                return out;
            }
            head = *done;
        }
        while (head && (!unread.empty() || parser.malformed()) && !parser.complete()) {
            const auto piece = parser.take_body(unread);
            if (!piece) {
                out.failed = true;
                return out;
            }
            if (!piece->empty() &&
                (piece->data() < part.data() || piece->data() + piece->size() > part.data() + part.size()))
                std::abort();
            out.body += *piece;
        }
    }
    out.complete = head && parser.end();
    if (head) {
        out.keep_alive = parser.keep_alive();
        out.status = parser.head().status;
        for (const auto& h : parser.head().headers)
            out.headers += std::string(h.name) + "=" + std::string(h.value) + "\n";
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size)
{
    if (size < 2) return 0;
    std::string_view input(reinterpret_cast<const char*>(bytes) + 2, size - 2);
    // Two inputs of three begin like a reply, so that the interesting part is reached.
    std::string text;
    if (bytes[0] % 3 == 1) text = "HTTP/1.1 200 OK\r\n";
    if (bytes[0] % 3 == 2) text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    text += input;
    const bool bodiless = (bytes[0] & 0x80) != 0;
    const auto whole = parse(text, bodiless, 0);
    if (whole.body.size() > text.size()) std::abort();
    const auto cut = parse(text, bodiless, 1U + bytes[1]);
    // What was given out before a fault depends on the cuts; whether there is one does not.
    if (whole.failed != cut.failed || (!whole.failed && !(whole == cut))) std::abort();
    return 0;
}
