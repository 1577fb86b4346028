#include "dispatch/aftermath.h"

#include <algorithm>

namespace dispatch {

namespace {

using core::FaultKind;

constexpr std::int64_t second = 1'000'000, longest_us = 300 * second;

/// How long a rate limit holds that the upstream gave no time for.
std::int64_t doubled(std::uint32_t times) noexcept { return std::min(longest_us, 5 * second << std::min(times, 6u)); }

} // namespace

ledger::Breaker::Outcome outcome_of(FaultKind kind) noexcept
{
    using enum ledger::Breaker::Outcome;
    return kind == FaultKind::None ? Good : core::rule_of(kind).counts ? Bad : Neither;
}

bool note_fault(core::Fault& fault, bool any_model, std::int64_t now_us, ledger::Lane& lane) noexcept
{
    const auto said = fault.retry_after_us;
    switch (core::rule_of(fault.kind).cool) {
    case core::Cool::Account:
        if (fault.kind == FaultKind::RateLimited) {
            const auto times = lane.limited_in_a_row.fetch_add(1, std::memory_order_relaxed);
            fault.retry_after_us = said >= 0 ? std::clamp(said, second / 10, longest_us) : doubled(times);
            lane.rest.until(now_us + fault.retry_after_us, fault.kind);
            return false;
        }
        lane.account->rest.until(now_us + (fault.kind == FaultKind::Quota ? (said > 0 ? said : 1800 * second) : 120 * second), fault.kind);
        return true;
    case core::Cool::Model:
        if (!any_model) lane.rest.until(now_us + 120 * second, fault.kind);
        return false;
    case core::Cool::Nothing:
    case core::Cool::Target: return false; // the breaker sees to it
    }
    return false;
}

} // namespace dispatch
