#include "ledger/health.h"

namespace ledger {

namespace {

constexpr std::int64_t minute_us = 60'000'000;

/// old + (fresh - old) / 8, the first value as it is. Two writers at once may lose one sample, which an average survives.
void blend(std::atomic<std::int64_t>& average, std::int64_t fresh) noexcept
{
    if (fresh < 0) return;
    const auto old = average.load(std::memory_order_relaxed);
    average.store(old < 0 ? fresh : old + (fresh - old) / 8, std::memory_order_relaxed);
}

} // namespace

void Health::began(std::int64_t now_us) noexcept
{
    in_flight.fetch_add(1, std::memory_order_relaxed);
    const auto minute = now_us / minute_us;
    auto seen = recent_minute.load(std::memory_order_relaxed);
    if (seen != minute && recent_minute.compare_exchange_strong(seen, minute, std::memory_order_relaxed))
        recent.store(minute == seen + 1 ? recent.load(std::memory_order_relaxed) / 2 : 0, std::memory_order_relaxed);
    recent.fetch_add(1, std::memory_order_relaxed);
}

void Health::succeeded(std::int64_t ttft, std::int64_t per_token) noexcept
{
    successes.fetch_add(1, std::memory_order_relaxed);
    const auto errors = error_ppm.load(std::memory_order_relaxed);
    if (errors) error_ppm.store(errors - errors / 8 - (errors < 8), std::memory_order_relaxed);
    blend(ttft_us, ttft);
    blend(token_us, per_token);
    if (ttft < 0) return;
    // stochastic approximation of a high quantile: 19 small steps down weigh as much as one step up
    const auto high = ttft_high_us.load(std::memory_order_relaxed);
    const auto step = high / 16 + 1;
    ttft_high_us.store(high < 0 ? ttft : ttft > high ? high + step : high - step / 19, std::memory_order_relaxed);
}

void Health::failed() noexcept
{
    failures.fetch_add(1, std::memory_order_relaxed);
    const auto errors = error_ppm.load(std::memory_order_relaxed);
    error_ppm.store(errors + (1'000'000 - errors) / 8, std::memory_order_relaxed);
}

std::uint32_t Health::recent_count(std::int64_t now_us) const noexcept
{
    return now_us / minute_us - recent_minute.load(std::memory_order_relaxed) > 1 ? 0 : recent.load(std::memory_order_relaxed);
}

void Lane::reset() noexcept
{
    breaker.reset(), rest.clear(), account->rest.clear();
    limited_in_a_row.store(0, std::memory_order_relaxed), headroom_until_us.store(0, std::memory_order_relaxed);
}

namespace {

template <class T, class Key>
std::shared_ptr<T> find_or_make(std::mutex& mutex, std::map<Key, std::shared_ptr<T>>& all, const Key& key)
{
    const std::lock_guard lock(mutex);
    auto& slot = all[key];
    if (!slot) slot = std::make_shared<T>();
    return slot;
}

} // namespace

std::shared_ptr<Health> HealthBook::target(const std::string& id) { return find_or_make(mutex_, targets_, id); }
std::shared_ptr<AccountHealth> HealthBook::account(const std::string& id) { return find_or_make(mutex_, accounts_, id); }
std::shared_ptr<RetryBudget> HealthBook::budget(const std::string& provider) { return find_or_make(mutex_, budgets_, provider); }

std::shared_ptr<Gate> HealthBook::gate(const std::string& provider) { return find_or_make(mutex_, gates_, provider); }

std::shared_ptr<Lane> HealthBook::lane(const std::string& target, const std::string& account_id)
{
    auto account_health = account(account_id);
    const std::lock_guard lock(mutex_);
    auto& slot = lanes_[{target, account_id}];
    if (!slot) slot = std::make_shared<Lane>(std::move(account_health));
    return slot;
}

} // namespace ledger
