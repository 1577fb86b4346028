// How long an upstream asks us to wait.
#pragma once

#include "dispatch/provider.h"

#include <cstdint>
#include <span>

namespace upstream {

/// retry-after-ms, x-ms-retry-after-ms, then Retry-After (seconds or an HTTP date, RFC 9110 section 10.2.3), clamped to 0 .. 5 minutes.
/// -1: absent or garbage. `unix_us`: now.
[[nodiscard]] std::int64_t retry_after_us(std::span<const dispatch::Pair> headers, std::int64_t unix_us);

} // namespace upstream
