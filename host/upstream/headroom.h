// How much of its rate limit an upstream says is left.
#pragma once

#include "dispatch/provider.h"

#include <cstdint>
#include <span>

namespace upstream {

struct Headroom {
    double share = -1;                      ///< 0 to 1 of the scarcest limit, -1: nothing was said
    std::int64_t for_us = 0;                ///< until that limit is whole again, at most 5 minutes
};

/// Reads x-ratelimit-{limit,remaining,reset}-{requests,tokens} (OpenAI, Groq, Azure, where -1 and 0 mean unknown) and
/// anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}. Resets are durations ("1m30s", "120ms"), seconds,
/// or RFC 3339 times. `unix_us`: now.
[[nodiscard]] Headroom headroom_of(std::span<const dispatch::Pair> headers, std::int64_t unix_us);

} // namespace upstream
