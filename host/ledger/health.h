// What was seen of a target lately. Written after attempts, read when candidates are compared.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace ledger {

/// Live numbers of one target (provider x model) or account. [shared], relaxed atomics: a reader may see them a moment apart.
struct Health {
    std::atomic<std::uint32_t> in_flight{0}, consecutive_failures{0};
    std::atomic<std::uint64_t> successes{0}, failures{0};
    std::atomic<std::int64_t> cooling_until_us{0};  ///< steady clock; 0: not cooling
    std::atomic<std::int64_t> ttft_us{-1}, ttft_high_us{-1}, token_us{-1}; ///< moving averages; high: follows the slow ones (about p95)
    std::atomic<std::uint32_t> error_ppm{0};        ///< moving average of failures, parts per million
    std::atomic<std::uint32_t> recent{0};           ///< requests of this minute and the last
    std::atomic<std::int64_t> recent_minute{0};

    void began(std::int64_t now_us) noexcept;
    /// `ttft_us`, `per_token_us`: -1 not measured.
    void succeeded(std::int64_t ttft_us, std::int64_t per_token_us) noexcept;
    void failed() noexcept;
    void ended() noexcept { in_flight.fetch_sub(1, std::memory_order_relaxed); }
    void cool_until(std::int64_t steady_us) noexcept; ///< never shortens
    [[nodiscard]] bool cooling(std::int64_t now_us) const noexcept { return cooling_until_us.load(std::memory_order_relaxed) > now_us; }
    [[nodiscard]] std::uint32_t recent_count(std::int64_t now_us) const noexcept;
};

/// The health of everything by name, which outlives configurations: a reload forgets nothing.
class HealthBook {
public:
    /// [shared] Locks; for building tables, not for requests.
    std::shared_ptr<Health> of(const std::string& id);

private:
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Health>> all_;
};

} // namespace ledger
