// Takes turns: the request's number on its route says where to begin among the healthy candidates, then walks on.
#include "../order.hpp"

namespace {

class RoundRobin : public portolan::Policy {
public:
    explicit RoundRobin(const portolan::Config&) {}

    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        order::Positions positions(s);
        // Ill candidates are taken out before turns are counted, else the one after them would get their turns too.
        for (const auto group : {positions.well(), positions.unwell_ones()})
            for (std::size_t k = 0; k < group.size(); ++k) {
                const auto i = group[(s.raw().sequence + k) % group.size()];
                out.pick(i, -double(k),
                         order::reason(*s.candidates()[i], k == 0 ? "its turn" : "after the one whose turn it is"));
            }
    }
};

} // namespace

PORTOLAN_PLUGIN(R"({"id":"portolan.round-robin","version":"0.1.0","license":"Apache-2.0","components":{"round-robin":{
  "kind":"portolan.policy/1","title":"Round robin","config":{"type":"object","properties":{}}}}})",
                portolan::component<RoundRobin>("round-robin"))
