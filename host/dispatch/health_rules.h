// What a fault does to the health of a target and an account.
#pragma once

#include "config/config.h"
#include "core/fault.h"
#include "ledger/health.h"

namespace dispatch {

/// `only_account`: the provider has no other, so the target rests with it. Times on the steady clock, microseconds.
void note_fault(const core::Fault& fault, const config::CircuitBreaker& breaker, bool only_account, std::int64_t now_us,
                ledger::Health& target, ledger::Health& account) noexcept;

} // namespace dispatch
