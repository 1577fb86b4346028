// What the parse layer alone says about a stream of bytes, however it is cut: for the corpus and for the fuzzers.
#pragma once

#include "wire/chunked.h"
#include "wire/prescan.h"
#include "wire/request_head.h"

#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

namespace test {

inline wire::ServerLimits corpus_limits()
{
    wire::ServerLimits limits;
    limits.body = 1024 * 1024;
    limits.chunk_extensions = 4096;
    return limits;
}

/// "GET /g 0; POST /p 5; 400 bare_lf": what was read in order, up to the first refusal or the end of the bytes
/// ("more"). `next_size`: how many bytes come next; 0 is taken as all of the rest.
inline std::string judge(std::string_view bytes, const wire::ServerLimits& limits,
                         const std::function<std::size_t()>& next_size)
{
    std::string verdict, received;
    const auto more = [&] {
        if (bytes.empty()) return false;
        auto size = next_size();
        if (size == 0 || size > bytes.size()) size = bytes.size();
        received.append(bytes.substr(0, size));
        bytes.remove_prefix(size);
        return true;
    };
    const auto refused = [&](const wire::Refusal& refusal) {
        return verdict + std::to_string(refusal.status) + " " + refusal.reason;
    };
    for (;;) {
        wire::Prescan scan(limits);
        auto state = wire::Prescan::State::More;
        while ((state = scan.scan(received.data(), received.size())) == wire::Prescan::State::More)
            if (!more()) return verdict + "more";
        if (state == wire::Prescan::State::Refused) return refused(scan.refusal());
        const std::string head = received.substr(scan.begin(), scan.end() - scan.begin());
        received.erase(0, scan.end());
        wire::RequestHead parsed;
        if (!wire::parse_request_head(head, scan.facts(), parsed)) return verdict + "400 parsers_disagree";
        std::size_t body = 0;
        if (scan.facts().chunked) {
            wire::Chunked chunked(limits);
            for (bool done = false; !done;) {
                std::string_view in = received, data;
                while (!in.empty() && !done) {
                    const auto got = chunked.next(in, data);
                    if (got == wire::Chunked::State::Refused) return refused(chunked.refusal());
                    if (got == wire::Chunked::State::Data) body += data.size();
                    if (body > limits.body) return verdict + "413 body_too_large";
                    done = got == wire::Chunked::State::Done;
                }
                received.erase(0, received.size() - in.size());
                if (!done && !more()) return verdict + "more";
            }
        } else {
            body = static_cast<std::size_t>(scan.facts().content_length);
            while (received.size() < body)
                if (!more()) return verdict + "more";
            received.erase(0, body);
        }
        verdict += std::string(wire::name_of(parsed.method)) + " " + std::string(parsed.target) + " " +
                   std::to_string(body) + "; ";
        if (!scan.facts().keep_alive) return verdict + "close";
    }
}

} // namespace test
