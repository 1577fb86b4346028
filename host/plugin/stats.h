// What is counted of the calls into one plugin: how many, how they ended, how long they took.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace plugin {

enum class Function : std::uint8_t { Create, Open, Request, Frame, End, Classify, Step, Decide, Close, Learn, Restore };
constexpr std::size_t function_count = 11;
const char* name_of(Function) noexcept;

struct CallCounts {
    static constexpr std::size_t buckets = 32;
    std::uint64_t ok = 0, failed = 0;
    std::uint64_t late = 0;    ///< of those, over their time limit
    std::uint64_t refused = 0; ///< things a plugin did during such a call that it may not: dead handles, picks out of range ...
    std::uint64_t total_ns = 0;
    std::array<std::uint64_t, buckets> took{}; ///< took[i]: calls under 2^i ns and not under 2^(i-1); the last one takes the rest
};

/// [shared] Relaxed counters in a few shards, so that loops do not fight over a cache line.
class PluginStats {
public:
    void count(Function, bool ok, bool late, std::int64_t took_ns) noexcept;
    void refuse(Function, std::uint64_t times = 1) noexcept;
    void bench() noexcept { benched_.fetch_add(1, std::memory_order_relaxed); } ///< a call that was not made
    [[nodiscard]] std::uint64_t benched() const noexcept { return benched_.load(std::memory_order_relaxed); }
    [[nodiscard]] CallCounts read(Function) const noexcept;

private:
    using Counter = std::atomic<std::uint64_t>;
    struct Row {
        Counter failed{0}, late{0}, refused{0}, total_ns{0};
        std::array<Counter, CallCounts::buckets> took{};
    };
    struct alignas(64) Shard {
        std::array<Row, function_count> rows;
    };
    Row& row(Function) noexcept;
    std::array<Shard, 4> shards_;
    Counter benched_{0};
};

} // namespace plugin
