// The shortest expected time first: measured time to the first token, then the expected tokens at the measured pace.
#include "../order.hpp"

#include <cstdint>

namespace {

constexpr std::int64_t unknown = -1;

std::int64_t expected_us(const portolan_candidate& c, std::int64_t tokens)
{
    if (c.ttft_p50_us < 0) return unknown;
    return c.ttft_p50_us + (c.token_us > 0 && tokens > 0 ? c.token_us * tokens : 0);
}

class Fastest : public portolan::Policy {
public:
    explicit Fastest(const portolan::Config&) {}

    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        order::Positions positions(s);
        const auto all = s.candidates();
        const auto tokens = std::min<std::int64_t>(s.request().raw().est_output_tokens, 1'000'000);
        for (const auto group : {positions.well(), positions.unwell_ones()}) {
            // What was never measured comes first: only asking it tells how fast it is.
            std::stable_sort(group.begin(), group.end(), [&](auto a, auto b) { return expected_us(*all[a], tokens) < expected_us(*all[b], tokens); });
            for (const auto i : group) {
                const auto us = expected_us(*all[i], tokens);
                out.pick(i, us < 0 ? 0 : -double(us), order::reason(*all[i], us < 0 ? "not measured yet" : "shortest expected time"));
            }
        }
    }
};

} // namespace

PORTOLAN_PLUGIN(R"({"id":"portolan.fastest","version":"0.1.0","license":"Apache-2.0","components":{
  "fastest":{"kind":"portolan.policy/1","title":"Fastest","config":{"type":"object","properties":{}}}}})",
                portolan::component<Fastest>("fastest"))
