#include "ledger/breaker.h"

#include <algorithm>

namespace ledger {

namespace {

constexpr std::int64_t longest_rest_us = 300'000'000;
constexpr std::uint32_t probes_to_close = 3;
constexpr std::uint64_t most = (1u << 20) - 1, period_mask = (1u << 24) - 1;
constexpr auto relaxed = std::memory_order_relaxed;

struct Bucket {
    std::uint64_t period, samples, failures;
    explicit Bucket(std::uint64_t word) noexcept : period(word >> 40), samples(word >> 20 & most), failures(word & most) {}
    [[nodiscard]] std::uint64_t word() const noexcept { return period << 40 | samples << 20 | failures; }
};

std::int64_t width_of(const BreakerRules& rules, std::int64_t buckets) noexcept { return std::max<std::int64_t>(1, rules.window_us / buckets); }

} // namespace

const char* name_of(Breaker::State state) noexcept
{
    return state == Breaker::State::Closed ? "closed" : state == Breaker::State::Open ? "open" : "half_open";
}

Breaker::State Breaker::state(std::int64_t now_us) const noexcept
{
    const auto until = open_until_.load(relaxed);
    return until == 0 ? State::Closed : until > now_us ? State::Open : State::HalfOpen;
}

Breaker::Entry Breaker::enter(const BreakerRules& rules, std::int64_t now_us) noexcept
{
    const auto is = state(now_us);
    if (is == State::Closed) return Entry::Normal;
    if (is == State::Open) return Entry::Refused;
    auto running = probing_.load(relaxed);
    while (running < rules.probes)
        if (probing_.compare_exchange_weak(running, running + 1, relaxed)) return Entry::Probe;
    return Entry::Refused;
}

bool Breaker::leave(Entry entry, Outcome outcome, const BreakerRules& rules, std::int64_t now_us, std::uint64_t seed) noexcept
{
    if (entry == Entry::Refused) return false;
    bool changed = false;
    if (outcome != Outcome::Neither) {
        const bool bad = outcome == Outcome::Bad;
        sample(bad, rules, now_us);
        if (bad)
            in_a_row_.fetch_add(1, relaxed);
        else if (in_a_row_.load(relaxed) != 0)
            in_a_row_.store(0, relaxed);
        const bool closed = open_until_.load(relaxed) == 0;
        if (entry == Entry::Probe && bad) {
            good_probes_.store(0, relaxed);
            changed = open(rules, now_us, seed);
        } else if (!closed && !bad && entry != Entry::Normal)
            changed = probe_succeeded();
        else if (closed && bad) {
            const auto seen = window(rules, now_us);
            const bool rate = seen.samples >= rules.least_samples && seen.failures >= rules.failure_rate * seen.samples;
            if (rate || in_a_row_.load(relaxed) >= rules.failures_in_a_row) changed = open(rules, now_us, seed);
        }
    }
    if (entry == Entry::Probe) probing_.fetch_sub(1, relaxed); // last: until then it is the only one
    return changed;
}

// The longer it has been failing, the longer it rests: a quarter of the time, so that it is back soon after it is well.
bool Breaker::open(const BreakerRules& rules, std::int64_t now_us, std::uint64_t seed) noexcept
{
    auto old = open_until_.load(relaxed);
    if (old > now_us) return false;
    if (old == 0) opened_at_.store(now_us, relaxed);
    const auto rest = std::clamp((now_us - opened_at_.load(relaxed)) / 4, rules.rest_us, std::max(rules.rest_us, longest_rest_us));
    const auto jitter = static_cast<std::int64_t>(seed % static_cast<std::uint64_t>(std::max<std::int64_t>(1, rest / 5)));
    if (!open_until_.compare_exchange_strong(old, std::max<std::int64_t>(1, now_us + rest - jitter), relaxed)) return false;
    good_probes_.store(0, relaxed);
    times_opened_.fetch_add(1, relaxed);
    return true;
}

bool Breaker::probe_succeeded() noexcept
{
    if (good_probes_.fetch_add(1, relaxed) + 1 != probes_to_close) return false;
    reset();
    return true;
}

void Breaker::reset() noexcept
{
    for (auto& bucket : window_) bucket.store(0, relaxed);
    in_a_row_.store(0, relaxed), good_probes_.store(0, relaxed);
    open_until_.store(0, relaxed);
}

void Breaker::sample(bool bad, const BreakerRules& rules, std::int64_t now_us) noexcept
{
    const auto period = static_cast<std::uint64_t>(now_us / width_of(rules, buckets));
    auto& slot = window_[period % buckets];
    auto old = slot.load(relaxed);
    for (;;) {
        Bucket b(old);
        if (b.period != (period & period_mask)) b = Bucket((period & period_mask) << 40);
        if (b.samples < most) b.samples += 1, b.failures += bad;
        if (slot.compare_exchange_weak(old, b.word(), relaxed)) return;
    }
}

Breaker::Window Breaker::window(const BreakerRules& rules, std::int64_t now_us) const noexcept
{
    const auto period = static_cast<std::uint64_t>(now_us / width_of(rules, buckets));
    Window sum;
    for (const auto& slot : window_) {
        const Bucket b(slot.load(relaxed));
        if (((period - b.period) & period_mask) >= buckets) continue;
        sum.samples += static_cast<std::uint32_t>(b.samples), sum.failures += static_cast<std::uint32_t>(b.failures);
    }
    return sum;
}

double Breaker::excess(const BreakerRules& rules, std::int64_t now_us) const noexcept
{
    const auto seen = window(rules, now_us);
    if (seen.samples < rules.least_samples) return 0;
    const double all = seen.samples, good = seen.samples - seen.failures;
    return std::max(0.0, (all - 2 * good) / (all + 1));
}

} // namespace ledger
