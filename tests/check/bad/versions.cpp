// A good policy, built without the flags of portolan_add_plugin: its static data exists once in a process, whichever version runs.
#include <portolan/plugin.hpp>

template <class>
struct Shared {
    static inline int counter = 0; // a GNU unique symbol
};

class AsWritten : public portolan::Policy {
public:
    explicit AsWritten(const portolan::Config&) { ++Shared<int>::counter; }
    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        for (std::size_t i = 0; i < s.candidates().size(); ++i) out.pick(i, 0, "as the operator wrote them");
    }
};

PORTOLAN_PLUGIN(R"({"id":"test.versions","version":"1","components":{"p":{"kind":"portolan.policy/1","title":"Versions","config":{"type":"object","properties":{}}}}})",
                portolan::component<AsWritten>("p"))
