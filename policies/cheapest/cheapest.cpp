// The lowest expected cost first; "balanced" asks for a quality before it looks at the cost. Integer money: the host
// says what this request may cost where.
#include "../order.hpp"

#include <portolan/json.hpp>

#include <cmath>
#include <optional>

namespace {

/// Known costs before unknown ones, then by cost, then by id, so that the order never depends on the file's.
bool cheaper(const portolan_candidate& a, const portolan_candidate& b)
{
    const bool known = a.est_cost_nusd >= 0;
    if (known != (b.est_cost_nusd >= 0)) return known;
    if (known && a.est_cost_nusd != b.est_cost_nusd) return a.est_cost_nusd < b.est_cost_nusd;
    return portolan::view(a.id) < portolan::view(b.id);
}

void pick(const portolan_candidate& c, std::size_t i, std::string_view why, portolan::Ranking& out)
{
    const bool known = c.est_cost_nusd >= 0;
    out.pick(i, known ? -double(c.est_cost_nusd) : 0, order::reason(c, known ? why : "price unknown"));
}

class Cheapest : public portolan::Policy {
public:
    explicit Cheapest(const portolan::Config&) {}

    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        rank(s, out);
    }

    static void rank(const portolan::Snapshot& s, portolan::Ranking& out)
    {
        order::Positions positions(s);
        const auto all = s.candidates();
        for (const auto group : {positions.well(), positions.unwell_ones()}) {
            std::sort(group.begin(), group.end(), [&](auto a, auto b) { return cheaper(*all[a], *all[b]); });
            for (const auto i : group) pick(*all[i], i, "lowest expected cost", out);
        }
    }
};

class Balanced : public portolan::Policy {
public:
    explicit Balanced(const portolan::Config& c)
    {
        const auto config = portolan::json::parse(c.json);
        if (const auto bar = config.find("min_quality"); bar != config.end() && bar->is_number())
            bar_ = bar->get<double>();
    }

    void decide(const portolan::Call&, const portolan::Snapshot& s, portolan::Ranking& out) const override
    {
        if (!bar_) return Cheapest::rank(s, out);
        order::Positions positions(s);
        const auto all = s.candidates();
        const auto good = [&](const portolan_candidate& c) { return c.quality >= *bar_; }; // false for NaN, unknown
        const auto better = [&](const portolan_candidate& a, const portolan_candidate& b) {
            if (good(a) != good(b)) return good(a);
            const double qa = std::isnan(a.quality) ? -1 : a.quality, qb = std::isnan(b.quality) ? -1 : b.quality;
            if (!good(a) && qa != qb) return qa > qb;
            return cheaper(a, b);
        };
        for (const auto group : {positions.well(), positions.unwell_ones()}) {
            std::sort(group.begin(), group.end(), [&](auto a, auto b) { return better(*all[a], *all[b]); });
            for (const auto i : group)
                pick(*all[i], i, good(*all[i]) ? "good enough, lowest expected cost" : "below the quality bar", out);
        }
    }

private:
    std::optional<double> bar_;
};

} // namespace

PORTOLAN_PLUGIN(R"({"id":"portolan.cheapest","version":"0.1.0","license":"Apache-2.0","components":{
  "cheapest":{"kind":"portolan.policy/1","title":"Cheapest","config":{"type":"object","properties":{}}},
  "balanced":{"kind":"portolan.policy/1","title":"Balanced","config":{"type":"object","properties":{
    "min_quality":{"type":"number","minimum":0,"maximum":1,"title":"Quality bar",
      "description":"the cheapest among those at least as good; unset: the cheapest of all"}}}}}})",
                portolan::component<Cheapest>("cheapest"), portolan::component<Balanced>("balanced"))
