// Whether a plugin may be called: one that keeps failing by its own fault is benched, and tried again now and then.
#pragma once

#include <atomic>
#include <cstdint>

namespace plugin {

/// [shared] Lock-free. Times are steady microseconds. Belongs to one library, so that a changed file begins anew.
class Strikes {
public:
    static constexpr std::uint32_t limit = 5;                       ///< failures in a row
    static constexpr std::uint32_t late_limit = 20;                 ///< late calls in a row
    static constexpr std::int64_t first_us = 5'000'000, longest_us = 300'000'000; ///< on the bench; doubles with each failed probe

    void good() noexcept
    {
        if (in_a_row_.load(std::memory_order_relaxed) == 0 && late_in_a_row_.load(std::memory_order_relaxed) == 0) [[likely]]
            return;
        in_a_row_.store(0, std::memory_order_relaxed), late_in_a_row_.store(0, std::memory_order_relaxed), until_us_.store(0, std::memory_order_relaxed);
    }
    /// It went well but took longer than it may. True if that is no accident any more and counts as a failure: whoever is never in time.
    bool late() noexcept { return late_in_a_row_.fetch_add(1, std::memory_order_relaxed) + 1 >= late_limit; }
    /// True if this failure put it on the bench (again).
    bool bad(std::int64_t now_us) noexcept
    {
        const auto n = in_a_row_.fetch_add(1, std::memory_order_relaxed) + 1;
        if (n < limit) return false;
        until_us_.store(now_us + time_us(n), std::memory_order_relaxed);
        return true;
    }
    /// True: do not call it. When its time is over one caller gets false: the probe.
    bool benched(std::int64_t now_us) noexcept
    {
        auto until = until_us_.load(std::memory_order_relaxed);
        if (until == 0) [[likely]]
            return false;
        if (now_us < until) return true;
        const auto next = now_us + time_us(in_a_row_.load(std::memory_order_relaxed)); // for the others, until the probe has said how it went
        return !until_us_.compare_exchange_strong(until, next, std::memory_order_relaxed);
    }
    [[nodiscard]] bool sits() const noexcept { return until_us_.load(std::memory_order_relaxed) != 0; } ///< never probes

private:
    static std::int64_t time_us(std::uint32_t failures) noexcept
    {
        const auto doubled = failures > limit ? failures - limit : 0;
        return doubled >= 6 ? longest_us : first_us << doubled;
    }
    std::atomic<std::uint32_t> in_a_row_{0}, late_in_a_row_{0};
    std::atomic<std::int64_t> until_us_{0};
};

} // namespace plugin
