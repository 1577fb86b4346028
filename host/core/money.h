// Money as integers: amounts in nano-USD, prices in pico-USD per token (= micro-USD per million tokens).
#pragma once

#include <cstdint>
#include <optional>

namespace core {

/// -1 everywhere: not known. 0 is free.
constexpr std::int64_t unknown_price = -1;

/// Wide enough for any number of tokens at any price. A type of the compilers, not of the standard.
__extension__ typedef __int128 Wide;

/// Tokens times price in nano-USD, rounded down. Negative tokens or an unknown price give unknown_price.
constexpr std::int64_t cost_nusd(std::int64_t tokens, std::int64_t price_pusd) noexcept
{
    return tokens < 0 || price_pusd < 0 ? unknown_price : static_cast<std::int64_t>(static_cast<Wide>(tokens) * price_pusd / 1000);
}

} // namespace core
