// Keeps retries from becoming a storm of their own: few at a time, and fewer the less they help.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace ledger {

/// Of one provider. [shared]. At most max(3, 20 % of the attempts in flight) retries at a time, and each takes tokens out of a bucket
/// that only successes fill again.
class RetryBudget {
public:
    static constexpr std::int32_t full = 500;

    void began() noexcept { in_flight_.fetch_add(1, std::memory_order_relaxed); }
    void ended(bool well) noexcept
    {
        in_flight_.fetch_sub(1, std::memory_order_relaxed);
        if (well && tokens_.load(std::memory_order_relaxed) < full) tokens_.fetch_add(1, std::memory_order_relaxed);
    }
    /// False: no retry now. Else give_back() must follow when it is over. `timeout`: the fault before was one, which costs twice as much.
    [[nodiscard]] bool take(bool timeout) noexcept
    {
        const auto most = std::max(3, in_flight_.load(std::memory_order_relaxed) / 5);
        const auto price = price_of(timeout);
        if (retrying_.fetch_add(1, std::memory_order_relaxed) < most) {
            if (tokens_.fetch_sub(price, std::memory_order_relaxed) >= price) return true;
            tokens_.fetch_add(price, std::memory_order_relaxed);
        }
        retrying_.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    /// `well`: the retry succeeded, which gives its price back.
    void give_back(bool well, bool timeout) noexcept
    {
        retrying_.fetch_sub(1, std::memory_order_relaxed);
        if (well) tokens_.fetch_add(price_of(timeout), std::memory_order_relaxed);
    }
    void reset() noexcept { tokens_.store(full, std::memory_order_relaxed); }

    [[nodiscard]] std::int32_t in_flight() const noexcept { return in_flight_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int32_t retrying() const noexcept { return retrying_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int32_t tokens() const noexcept { return tokens_.load(std::memory_order_relaxed); }

private:
    static constexpr std::int32_t price_of(bool timeout) noexcept { return timeout ? 10 : 5; }
    std::atomic<std::int32_t> in_flight_{0}, retrying_{0}, tokens_{full};
};

} // namespace ledger
