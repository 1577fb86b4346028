// What was seen of a target lately. Written after attempts, read when candidates are compared.
#pragma once

#include "ledger/breaker.h"
#include "ledger/limits.h"
#include "ledger/rest.h"
#include "ledger/retry_budget.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ledger {

/// Live numbers of one target (provider x model) or account. [shared], relaxed atomics: a reader may see them a moment apart.
struct Health {
    std::atomic<std::uint32_t> in_flight{0};
    std::atomic<std::uint64_t> successes{0}, failures{0};
    std::atomic<std::int64_t> ttft_us{-1}, ttft_high_us{-1}, token_us{-1}; ///< moving averages; high: follows the slow ones (about p95)
    std::atomic<std::uint32_t> error_ppm{0};        ///< moving average of failures, parts per million
    std::atomic<std::uint32_t> recent{0};           ///< requests of this minute and the last
    std::atomic<std::int64_t> recent_minute{0};

    void began(std::int64_t now_us) noexcept;
    /// `ttft_us`, `per_token_us`: -1 not measured.
    void succeeded(std::int64_t ttft_us, std::int64_t per_token_us) noexcept;
    void failed() noexcept;
    void ended() noexcept { in_flight.fetch_sub(1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t recent_count(std::int64_t now_us) const noexcept;
};

/// An account of a provider: what was seen of it, and its rest after a refusal of its key or a quota.
struct AccountHealth : Health {
    Rest rest;
};

/// One model by one account: the breaker's grain, and that of rate limits and of models that are locked.
struct Lane {
    explicit Lane(std::shared_ptr<AccountHealth> of) : account(std::move(of)) {}

    /// Nothing keeps requests away for longer than a probe takes.
    [[nodiscard]] bool usable(std::int64_t now_us) const noexcept
    {
        return account->rest.over(now_us) && rest.over(now_us) && breaker.state(now_us) != Breaker::State::Open;
    }
    /// Share of its rate limit that is left by what the upstream said last, 1 if nothing is known.
    [[nodiscard]] double headroom(std::int64_t now_us) const noexcept
    {
        return headroom_until_us.load(std::memory_order_relaxed) <= now_us ? 1.0 : headroom_ppm.load(std::memory_order_relaxed) / 1e6;
    }
    void reset() noexcept;

    const std::shared_ptr<AccountHealth> account;
    Breaker breaker;
    Rest rest;                              ///< after a rate limit, or when the upstream does not know the model
    std::atomic<std::uint32_t> limited_in_a_row{0};
    std::atomic<std::uint32_t> headroom_ppm{1'000'000};
    std::atomic<std::int64_t> headroom_until_us{0};
};
/// Of a target, in the order of its provider's accounts.
using Lanes = std::vector<std::shared_ptr<Lane>>;

/// The health of everything by name, which outlives configurations: a reload forgets nothing. [shared] Locks; for building tables, not for
/// requests.
class HealthBook {
public:
    std::shared_ptr<Health> target(const std::string& id);
    std::shared_ptr<AccountHealth> account(const std::string& id);
    std::shared_ptr<Lane> lane(const std::string& target, const std::string& account);
    std::shared_ptr<RetryBudget> budget(const std::string& provider);
    std::shared_ptr<Gate> gate(const std::string& provider);

private:
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Health>> targets_;
    std::map<std::string, std::shared_ptr<AccountHealth>> accounts_;
    std::map<std::pair<std::string, std::string>, std::shared_ptr<Lane>> lanes_;
    std::map<std::string, std::shared_ptr<RetryBudget>> budgets_;
    std::map<std::string, std::shared_ptr<Gate>> gates_;
};

} // namespace ledger
