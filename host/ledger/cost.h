// What a request costs, from a model's prices. Integers all the way; -1 is "not known".
#pragma once

#include "config/config.h"

#include <cstdint>

namespace ledger {

/// Tokens of one answer, -1 not said. input is the total, the cache parts are parts of it; output holds the reasoning tokens.
struct TokenUse {
    std::int64_t input = -1, cache_read = -1, cache_write = -1, output = -1;
};

/// [shared] Nano-USD, rounded down once at the end. The last tier whose threshold the input crosses prices the whole request; a price that
/// the tier does not give is the base one. Cache parts cost the input price where they have none of their own. -1 if the usage is not
/// said, or tokens were used whose price is not known; a model marked free costs 0.
[[nodiscard]] std::int64_t cost_of(const config::ModelFacts& facts, const TokenUse& use) noexcept;

/// What an answer is expected to be long when nothing better is known.
constexpr std::int64_t default_output_tokens = 500;

/// [shared] Tokens to expect: the default, or less if the request or the model allows less.
[[nodiscard]] std::int64_t expected_output_tokens(const config::ModelFacts& facts, std::int64_t max_output_tokens) noexcept;

/// [shared] Before the request: nothing cached. est_output < 0: expected_output_tokens() without a limit.
[[nodiscard]] std::int64_t expected_cost_nusd(const config::ModelFacts& facts, std::int64_t est_input, std::int64_t est_output) noexcept;

} // namespace ledger
