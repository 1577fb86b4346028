// Draws candidates by weight, without putting back, reproducibly from the call's seed. All weights 0: evenly.
#include "../order.hpp"

namespace {

class Weighted : public portolan::Policy {
public:
    explicit Weighted(const portolan::Config&) {}

    void decide(const portolan::Call& call, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        order::Positions positions(s);
        order::Dice dice(call.seed());
        const bool none_well = positions.well().empty();
        draw(s, positions.well(), dice, true, out);
        draw(s, positions.unwell_ones(), dice, none_well, out);
    }

private:
    /// `first`: the first of all candidates comes from this group, so each has a chance of being it.
    static void draw(const portolan::Snapshot& s, std::span<order::Positions::Index> left, order::Dice& dice,
                     bool first, portolan::Ranking& out)
    {
        const auto weight = [&](std::size_t i) -> std::uint64_t { return s.candidates()[i]->weight; };
        const std::size_t all = left.size();
        std::uint64_t total = 0;
        for (const auto i : left) total += weight(i);
        for (std::uint64_t rest = total; !left.empty();) {
            std::size_t k = 0;
            if (rest == 0)
                k = dice.below(left.size());
            else
                for (auto at = dice.below(rest); at >= weight(left[k]); ++k) at -= weight(left[k]);
            const auto i = left[k];
            const double chance = !first ? 0 : total ? double(weight(i)) / double(total) : 1 / double(all);
            out.pick(i, double(weight(i)), order::reason(*s.candidates()[i], "drawn by weight"), {}, chance);
            rest -= weight(i);
            std::copy(left.begin() + std::ptrdiff_t(k) + 1, left.end(), left.begin() + std::ptrdiff_t(k));
            left = left.first(left.size() - 1);
        }
    }
};

} // namespace

PORTOLAN_PLUGIN(R"({"id":"portolan.weighted","version":"0.1.0","license":"Apache-2.0","components":{"weighted":{
  "kind":"portolan.policy/1","title":"Weighted","config":{"type":"object","properties":{}}}}})",
                portolan::component<Weighted>("weighted"))
