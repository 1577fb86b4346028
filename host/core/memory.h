// How much memory this process may use.
#pragma once

#include <cstdint>

namespace core {

/// [load] The least of the control group's limit (v2 or v1) and the machine's memory; 0 if neither is known.
[[nodiscard]] std::int64_t memory_limit_bytes();

} // namespace core
