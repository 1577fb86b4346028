// A time in which something is left alone, and why.
#pragma once

#include "core/fault.h"

#include <atomic>
#include <cstdint>

namespace ledger {

/// [shared], relaxed atomics. Times on the steady clock, microseconds.
class Rest {
public:
    /// Never shortens a rest that is longer.
    void until(std::int64_t steady_us, core::FaultKind why) noexcept
    {
        auto old = until_.load(std::memory_order_relaxed);
        while (old < steady_us && !until_.compare_exchange_weak(old, steady_us, std::memory_order_relaxed)) {}
        if (old < steady_us) why_.store(why, std::memory_order_relaxed);
    }
    void clear() noexcept { until_.store(0, std::memory_order_relaxed); }
    [[nodiscard]] bool over(std::int64_t now_us) const noexcept { return until_.load(std::memory_order_relaxed) <= now_us; }
    [[nodiscard]] std::int64_t ends_us() const noexcept { return until_.load(std::memory_order_relaxed); } ///< 0: there was none
    [[nodiscard]] core::FaultKind why() const noexcept { return why_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> until_{0};
    std::atomic<core::FaultKind> why_{core::FaultKind::None};
};

} // namespace ledger
