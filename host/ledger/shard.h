// Spreads what many threads write over a few cache lines.
#pragma once

#include <atomic>
#include <cstddef>

namespace ledger {

constexpr std::size_t shards = 8;
constexpr std::size_t cache_line = 64;

/// The calling thread's shard: threads get them in turn, so that the loops of one process never share one (up to 8 of them).
inline std::size_t shard_of_thread() noexcept
{
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed) % shards;
    return mine;
}

} // namespace ledger
