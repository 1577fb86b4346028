// The operator's order: the first candidate that is well, then the others as written. Ill ones come last.
#include "../order.hpp"

namespace {

class Priority : public portolan::Policy {
public:
    explicit Priority(const portolan::Config&) {}

    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        const order::Positions positions(s);
        for (const auto i : positions.all())
            out.pick(i, -double(i), order::reason(*s.candidates()[i], "the operator's order"));
    }
};

} // namespace

PORTOLAN_PLUGIN(R"({"id":"portolan.priority","version":"0.1.0","license":"Apache-2.0","components":{"priority":{
  "kind":"portolan.policy/1","title":"Priority","config":{"type":"object","properties":{}}}}})",
                portolan::component<Priority>("priority"))
