// Leaves something alone after failures, and tries it again with a few probes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace ledger {

struct BreakerRules {
    std::uint32_t failures_in_a_row = 5;
    std::uint32_t least_samples = 10;       ///< in the window, before the rate counts
    double failure_rate = 0.5;
    std::int64_t window_us = 30'000'000, rest_us = 5'000'000;
    std::uint32_t probes = 1;               ///< at a time, once the rest is over
};

/// [shared] Lock-free. `now_us`: steady clock. Who is let in by enter() must leave() once.
class Breaker {
public:
    enum class State : std::uint8_t { Closed, Open, HalfOpen };
    enum class Entry : std::uint8_t { Refused, Normal, Probe, Forced };
    enum class Outcome : std::uint8_t { Good, Bad, Neither };

    [[nodiscard]] State state(std::int64_t now_us) const noexcept;
    /// Closed: Normal. Open: Refused. Half open: Probe for as many as may be under way at a time, Refused for the others.
    [[nodiscard]] Entry enter(const BreakerRules& rules, std::int64_t now_us) noexcept;
    /// Neither: it says nothing of health (the client's mistake, the client left). True if this opened or closed the breaker.
    /// `seed`: for jitter.
    bool leave(Entry entry, Outcome outcome, const BreakerRules& rules, std::int64_t now_us, std::uint64_t seed) noexcept;
    /// How large a share of requests, 0 to 1, is better turned away when nobody else could answer them: none while half of them succeed,
    /// nearly all while none does. Such requests enter as Forced.
    [[nodiscard]] double excess(const BreakerRules& rules, std::int64_t now_us) const noexcept;
    void reset() noexcept;

    [[nodiscard]] std::int64_t opens_until_us() const noexcept { return open_until_.load(std::memory_order_relaxed); } ///< 0: closed
    [[nodiscard]] std::uint32_t failures_in_a_row() const noexcept { return in_a_row_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t times_opened() const noexcept { return times_opened_.load(std::memory_order_relaxed); }
    struct Window {
        std::uint32_t samples = 0, failures = 0;
    };
    [[nodiscard]] Window window(const BreakerRules& rules, std::int64_t now_us) const noexcept;

private:
    static constexpr std::size_t buckets = 10;
    void sample(bool bad, const BreakerRules& rules, std::int64_t now_us) noexcept;
    bool open(const BreakerRules& rules, std::int64_t now_us, std::uint64_t seed) noexcept;
    bool probe_succeeded() noexcept;

    std::array<std::atomic<std::uint64_t>, buckets> window_{}; ///< number of the period (24 bits), samples (20), failures (20)
    std::atomic<std::int64_t> open_until_{0}, opened_at_{0};   ///< opened_at_: when it left Closed
    std::atomic<std::uint32_t> in_a_row_{0}, probing_{0}, good_probes_{0}, times_opened_{0};
};

[[nodiscard]] const char* name_of(Breaker::State state) noexcept;

} // namespace ledger
