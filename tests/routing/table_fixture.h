// A small candidate table and a policy that does as it is told.
#pragma once

#include "routing/decide.h"

#include <algorithm>
#include <memory>
#include <string>

namespace routing_test {

/// Ranks by expected cost, or nothing at all if told to fail.
class ByCost : public routing::Policy {
public:
    void decide(const routing::Snapshot& s, routing::Ranking& out) const override
    {
        out.picks.clear(), out.skips.clear(), out.failure.clear();
        seen = s;
        candidates.assign(s.candidates.begin(), s.candidates.end());
        if (fails) {
            out.failure = "late";
            return;
        }
        for (std::size_t i = 0; i < s.candidates.size(); ++i) out.picks.push_back({i, 0, 0, "cost", note});
        std::stable_sort(out.picks.begin(), out.picks.end(), [&](const auto& a, const auto& b) {
            return s.candidates[a.index].est_cost_nusd < s.candidates[b.index].est_cost_nusd;
        });
    }
    bool reads_content() const override { return false; }
    const std::string& component() const override { return name; }

    std::string name = "by-cost", note;
    bool fails = false;
    mutable routing::Snapshot seen;
    mutable std::vector<routing::CandidateView> candidates;
};

struct Fixture {
    routing::CandidateTable table;
    config::Routing rules;
    std::shared_ptr<ByCost> policy = std::make_shared<ByCost>();
    routing::Ask ask;

    routing::Target& add(const std::string& provider, const std::string& model, std::int64_t price, core::Features features = 0,
                         std::int64_t priority = 100)
    {
        auto t = std::make_unique<routing::Target>();
        t->provider = provider, t->model = t->upstream_model = model, t->id = provider + '/' + model;
        t->facts.id = model, t->facts.price_input = t->facts.price_output = price;
        t->facts.features = features, t->facts.features_known = ~core::Features{0};
        t->priority = priority;
        t->serves.fill(routing::Serves::Native);
        t->operations = ~core::Operations{0};
        t->health = std::make_shared<ledger::Health>();
        t->lanes.push_back(std::make_shared<ledger::Lane>(std::make_shared<ledger::AccountHealth>()));
        table.targets.push_back(std::move(t));
        table.provider_aliases[provider] = {provider};
        return *table.targets.back();
    }
    void route(const std::string& name)
    {
        auto r = std::make_unique<routing::Route>();
        r->name = name, r->policy_name = "by-cost", r->policy = policy;
        for (const auto& t : table.targets) r->pool.push_back(t.get()), r->weights.push_back(1);
        table.routes.push_back(std::move(r));
    }
    core::Result<routing::Decision> decide(const std::string& model, bool explain = false)
    {
        if (!indexed_) table.index(), indexed_ = true;
        model_ = model;
        ask.request.model = model_;
        if (ask.request.est_input_tokens < 0) ask.request.est_input_tokens = 100, ask.request.est_output_tokens = 100;
        return routing::decide(table, rules, ask, {1'000'000, 1'700'000'000'000'000, 7}, explain);
    }
    std::vector<std::string> order(const std::string& model)
    {
        auto d = decide(model);
        std::vector<std::string> out;
        if (d)
            for (const auto& c : d->order) out.push_back(c.id);
        else
            out.push_back(std::string("fault: ") + core::rule_of(d.fault().kind).name);
        return out;
    }

private:
    bool indexed_ = false;
    std::string model_;
};

using Order = std::vector<std::string>;

} // namespace routing_test
