// The clock of tests.
#pragma once

#include <cstdint>

inline constexpr std::int64_t second = 1'000'000, now = 1'000 * second;
