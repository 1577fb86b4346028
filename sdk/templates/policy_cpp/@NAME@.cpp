// A policy. decide() is a pure function: an equal snapshot, seed and configuration give an equal order.
#include <portolan/plugin.hpp>

class @CLASS@ : public portolan::Policy {
public:
    explicit @CLASS@(const portolan::Config&) {} // settings are read here, once

    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        for (const bool well : {true, false})
            for (std::size_t i = 0; i < s.candidates().size(); ++i)
                if (((s.candidates()[i]->flags & (PORTOLAN_CAND_COOLING | PORTOLAN_CAND_OVER_LIMIT)) == 0) == well)
                    out.pick(i, well, well ? "healthy" : "a last resort");
    }
};

PORTOLAN_PLUGIN(R"({"id":"my.@COMPONENT@","version":"0.1.0","components":{"@COMPONENT@":{
  "kind":"portolan.policy/1","title":"@CLASS@","config":{"type":"object","properties":{}}}}})",
                portolan::component<@CLASS@>("@COMPONENT@"))
