// A provider's accounts in the order that a routing policy gives them.
#pragma once

#include "routing/policy.h"
#include "upstream/endpoint.h"

#include <atomic>
#include <memory>

/// [load] `endpoint`: its names are copied. `sequence`: the running number that policies such as round-robin see. The policy sees the
/// accounts as candidates: their health, whether they rest, and how much of their rate limit is left.
[[nodiscard]] upstream::AccountOrder order_accounts_by(std::shared_ptr<const routing::Policy> policy, const upstream::Endpoint& endpoint,
                                                       std::shared_ptr<std::atomic<std::uint64_t>> sequence);
