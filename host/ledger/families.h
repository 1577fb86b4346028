// The host's own metrics: the one table of names, labels and help texts. docs/operate/metrics.md shows it, and a test compares the two.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ledger {

enum class FamilyType : std::uint8_t { Counter, Gauge, Histogram };

struct FamilyRow {
    std::string_view name;
    FamilyType type;
    std::string_view labels; ///< "route,code", empty: none
    std::string_view help;
    bool small = false;      ///< a histogram of times far below a millisecond
};

/// [shared] Sorted by name. The registry describes all of them when it is made; process_* are not among them.
[[nodiscard]] std::span<const FamilyRow> families() noexcept;

/// [shared] Upper bounds in microseconds of latencies (0.5 ms to 60 s) and of small times (5 µs to 1 s).
[[nodiscard]] std::span<const std::int64_t> latency_buckets_us() noexcept;
[[nodiscard]] std::span<const std::int64_t> small_buckets_us() noexcept;

} // namespace ledger
