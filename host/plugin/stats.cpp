#include "plugin/stats.h"

#include <algorithm>
#include <bit>

namespace plugin {

const char* name_of(Function f) noexcept
{
    static constexpr const char* names[function_count] = {"create", "open", "request", "frame", "end", "classify", "step", "decide", "close", "learn", "restore"};
    return names[static_cast<std::size_t>(f)];
}

PluginStats::Row& PluginStats::row(Function f) noexcept
{
    static std::atomic<unsigned> threads{0};
    thread_local const unsigned mine = threads.fetch_add(1, std::memory_order_relaxed);
    return shards_[mine % shards_.size()].rows[static_cast<std::size_t>(f)];
}

void PluginStats::count(Function f, bool ok, bool late, std::int64_t took_ns) noexcept
{
    Row& r = row(f);
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(took_ns, 0));
    const auto bucket = std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(ns)), CallCounts::buckets - 1);
    r.took[bucket].fetch_add(1, std::memory_order_relaxed);
    r.total_ns.fetch_add(ns, std::memory_order_relaxed);
    if (!ok) r.failed.fetch_add(1, std::memory_order_relaxed);
    if (late) r.late.fetch_add(1, std::memory_order_relaxed);
}

void PluginStats::refuse(Function f, std::uint64_t times) noexcept { row(f).refused.fetch_add(times, std::memory_order_relaxed); }

CallCounts PluginStats::read(Function f) const noexcept
{
    CallCounts sum;
    for (const auto& shard : shards_) {
        const Row& r = shard.rows[static_cast<std::size_t>(f)];
        sum.failed += r.failed.load(std::memory_order_relaxed);
        sum.late += r.late.load(std::memory_order_relaxed);
        sum.refused += r.refused.load(std::memory_order_relaxed);
        sum.total_ns += r.total_ns.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i < sum.took.size(); ++i) {
            const auto n = r.took[i].load(std::memory_order_relaxed);
            sum.took[i] += n, sum.ok += n;
        }
    }
    sum.ok -= std::min(sum.ok, sum.failed);
    return sum;
}

} // namespace plugin
