#include "dispatch/health_rules.h"

#include <algorithm>

namespace dispatch {

namespace {
constexpr std::int64_t second = 1'000'000;

/// How long an account rests after a fault that is about it.
std::int64_t rest_us(const core::Fault& fault) noexcept
{
    switch (fault.kind) {
    case core::FaultKind::Quota: return 30 * 60 * second;
    case core::FaultKind::UpstreamAuth: return 2 * 60 * second;
    default: return fault.retry_after_us >= 0 ? std::clamp(fault.retry_after_us, second / 10, 300 * second) : 5 * second;
    }
}
} // namespace

void note_fault(const core::Fault& fault, const config::CircuitBreaker& breaker, bool only_account, std::int64_t now_us,
                ledger::Health& target, ledger::Health& account) noexcept
{
    const auto& rule = core::rule_of(fault.kind);
    if (rule.counts) {
        target.failed();
        if (target.consecutive_failures.load(std::memory_order_relaxed) >= static_cast<std::uint32_t>(std::max<std::int64_t>(1, breaker.failure_threshold)))
            target.cool_until(now_us + breaker.recovery_time_seconds * second);
    }
    if (rule.cool == core::Cool::Account) {
        account.cool_until(now_us + rest_us(fault));
        if (only_account) target.cool_until(now_us + rest_us(fault));
    }
    if (rule.cool == core::Cool::Model) target.cool_until(now_us + 120 * second);
}

} // namespace dispatch
