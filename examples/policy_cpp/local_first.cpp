// A policy: what runs on this machine first, then the others; within each group as the operator wrote them.
#include <portolan/plugin.hpp>

class LocalFirst : public portolan::Policy {
public:
    explicit LocalFirst(const portolan::Config&) {}

    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        for (const bool local : {true, false})
            for (std::size_t i = 0; i < s.candidates().size(); ++i)
                if (((s.candidates()[i]->flags & PORTOLAN_CAND_LOCAL) != 0) == local)
                    out.pick(i, local, local ? "runs here" : "elsewhere, as a fallback");
    }
};

PORTOLAN_PLUGIN(R"({"id":"acme.local-first","version":"1.0.0","components":{"local-first":{
  "kind":"portolan.policy/1","title":"Local first","config":{"type":"object","properties":{}}}}})",
                portolan::component<LocalFirst>("local-first"))
