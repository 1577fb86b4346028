#include "routing/candidate_table.h"

#include "core/text.h"

#include <algorithm>

namespace routing {

void CandidateTable::index()
{
    std::stable_sort(targets.begin(), targets.end(), [](const auto& a, const auto& b) { return a->priority < b->priority; });
    for (const auto& t : targets) {
        if (t->open) {
            open_.push_back(t.get());
            continue;
        }
        by_model_[t->model].push_back(t.get());
        by_id_[t->id].push_back(t.get());
    }
    for (const auto& r : routes) by_route_[r->name] = r.get();
}

const Route* CandidateTable::route(std::string_view name) const
{
    const auto it = by_route_.find(std::string(name));
    return it == by_route_.end() ? nullptr : it->second;
}

Resolved CandidateTable::resolve_name(std::string_view model) const
{
    Resolved r;
    std::string name(model);
    if ((r.route = route(name))) return r;
    if (name.starts_with("orcarouter/") && (r.route = route(name.substr(11)))) return r;
    if (const auto alias = model_aliases.find(name); alias != model_aliases.end()) {
        name = alias->second;
        if ((r.route = route(name))) return r;
    }
    if (const auto slash = name.find('/'); slash != name.npos) {
        const auto providers = provider_aliases.find(name.substr(0, slash));
        const std::string rest = name.substr(slash + 1);
        if (providers != provider_aliases.end() && !rest.empty()) {
            for (const auto& provider : providers->second) {
                if (const auto it = by_id_.find(provider + '/' + rest); it != by_id_.end())
                    r.targets.insert(r.targets.end(), it->second.begin(), it->second.end());
                for (const auto* t : open_)
                    if (t->provider == provider && r.targets.empty()) r.targets.push_back(t), r.open_model = rest;
            }
            if (!r.targets.empty()) return r;
        }
    }
    if (const auto it = by_model_.find(name); it != by_model_.end()) r.targets = it->second;
    return r;
}

Resolved CandidateTable::resolve_suffixed(std::string_view model) const
{
    // OpenRouter's words for "sort by price" and "sort by throughput"
    for (const auto& [suffix, policy] : {std::pair<std::string_view, std::string_view>{":floor", "cheapest"}, {":nitro", "fastest"}}) {
        if (!model.ends_with(suffix)) continue;
        auto r = resolve_name(model.substr(0, model.size() - suffix.size()));
        r.policy = policy;
        return r;
    }
    for (const std::string_view effort : {"minimal", "low", "medium", "high", "xhigh", "max", "none"}) {
        if (model.size() <= effort.size() + 1 || !model.ends_with(effort) || model[model.size() - effort.size() - 1] != '-') continue;
        auto r = resolve_name(model.substr(0, model.size() - effort.size() - 1));
        if (r.route || r.targets.empty()) continue;
        r.effort = effort;
        return r;
    }
    return {};
}

Resolved CandidateTable::resolve(std::string_view model) const
{
    Resolved r = resolve_name(model);
    if (r.route || !r.targets.empty()) return r;
    r = resolve_suffixed(model);
    if (r.route || !r.targets.empty()) return r;
    r = {};
    r.targets = open_;
    if (!open_.empty()) r.open_model = model;
    return r;
}

bool matches(std::string_view pattern, const Target& target) noexcept
{
    return core::glob(pattern, target.id) || core::glob(pattern, target.model);
}

} // namespace routing
