// What an attempt's end does to the health of those who took part.
#pragma once

#include "core/fault.h"
#include "ledger/health.h"

#include <cstdint>

namespace dispatch {

/// What the breaker makes of it.
[[nodiscard]] ledger::Breaker::Outcome outcome_of(core::FaultKind kind) noexcept;

/// Puts the account or the lane to rest if the fault asks for it: a rate limit the lane, for as long as the upstream said (else 5 s, 10 s, …
/// 5 min); a quota or refused key the account; an unknown model the lane, unless the lane is for any model (`any_model`). Completes
/// fault.retry_after_us of a rate limit. True if an account's key was refused or its quota is used up.
bool note_fault(core::Fault& fault, bool any_model, std::int64_t now_us, ledger::Lane& lane) noexcept;

} // namespace dispatch
