#include "ledger/cost.h"

#include "core/money.h"

#include <algorithm>
#include <limits>

namespace ledger {

namespace {

using core::Wide;

struct Prices {
    std::int64_t input, output, cache_read, cache_write;
};

std::int64_t known(std::int64_t first, std::int64_t second) noexcept { return first >= 0 ? first : second; }

Prices prices_for(const config::ModelFacts& facts, std::int64_t input_tokens) noexcept
{
    Prices prices{facts.price_input, facts.price_output, facts.price_cache_read, facts.price_cache_write};
    for (const auto& tier : facts.tiers)
        if (input_tokens > tier.above_tokens)
            prices = {known(tier.price_input, facts.price_input), known(tier.price_output, facts.price_output),
                      known(tier.price_cache_read, facts.price_cache_read), known(tier.price_cache_write, facts.price_cache_write)};
    return prices;
}

/// Adds tokens times price; false if the price is needed and not known.
bool add(Wide& pico_usd, std::int64_t tokens, std::int64_t price) noexcept
{
    if (tokens == 0) return true;
    if (price < 0) return false;
    constexpr std::int64_t most = std::int64_t{1} << 60; // no overflow of the sum, whatever an upstream claims
    pico_usd += static_cast<Wide>(std::min(tokens, most)) * std::min(price, most);
    return true;
}

} // namespace

std::int64_t cost_of(const config::ModelFacts& facts, const TokenUse& use) noexcept
{
    if (use.input < 0 && use.output < 0) return core::unknown_price;
    if (facts.free) return 0;
    if (use.input < 0) return core::unknown_price;
    const auto prices = prices_for(facts, use.input);
    // Parts that are larger than the whole are an upstream's mistake; the total is believed.
    const std::int64_t read = std::clamp<std::int64_t>(use.cache_read, 0, use.input);
    const std::int64_t written = std::clamp<std::int64_t>(use.cache_write, 0, use.input - read);
    Wide pico_usd = 0;
    if (!add(pico_usd, use.input - read - written, prices.input) || !add(pico_usd, read, known(prices.cache_read, prices.input)) ||
        !add(pico_usd, written, known(prices.cache_write, prices.input)) ||
        !add(pico_usd, std::max<std::int64_t>(use.output, 0), prices.output))
        return core::unknown_price;
    return static_cast<std::int64_t>(std::min<Wide>(pico_usd / 1000, std::numeric_limits<std::int64_t>::max()));
}

std::int64_t expected_output_tokens(const config::ModelFacts& facts, std::int64_t max_output_tokens) noexcept
{
    std::int64_t tokens = default_output_tokens;
    if (max_output_tokens >= 0) tokens = std::min(tokens, max_output_tokens);
    if (facts.max_output_tokens >= 0) tokens = std::min(tokens, facts.max_output_tokens);
    return tokens;
}

std::int64_t expected_cost_nusd(const config::ModelFacts& facts, std::int64_t est_input, std::int64_t est_output) noexcept
{
    if (est_input < 0) return core::unknown_price;
    return cost_of(facts, {est_input, -1, -1, est_output >= 0 ? est_output : expected_output_tokens(facts, -1)});
}

} // namespace ledger
