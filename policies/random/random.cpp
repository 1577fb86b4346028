// Shuffles the candidates, reproducibly from the call's seed.
#include "../order.hpp"

namespace {

class Random : public portolan::Policy {
public:
    explicit Random(const portolan::Config&) {}

    void decide(const portolan::Call& call, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        order::Positions positions(s);
        order::Dice dice(call.seed());
        shuffle(positions.well(), dice);
        shuffle(positions.unwell_ones(), dice);
        const bool none_well = positions.well().empty();
        const double chance = 1 / double(none_well ? positions.unwell_ones().size() : positions.well().size());
        for (const auto i : positions.all()) {
            const auto& c = *s.candidates()[i];
            out.pick(i, 0, order::reason(c, "shuffled"), {}, order::unwell(c) == none_well ? chance : 0);
        }
    }

private:
    static void shuffle(std::span<order::Positions::Index> group, order::Dice& dice)
    {
        for (std::size_t n = group.size(); n > 1; --n) std::swap(group[n - 1], group[dice.below(n)]);
    }
};

} // namespace

PORTOLAN_PLUGIN(R"({"id":"portolan.random","version":"0.1.0","license":"Apache-2.0","components":{"random":{
  "kind":"portolan.policy/1","title":"Random","config":{"type":"object","properties":{}}}}})",
                portolan::component<Random>("random"))
