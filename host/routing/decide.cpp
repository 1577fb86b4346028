#include "routing/decide.h"

#include "core/text.h"
#include "ledger/cost.h"
#include "routing/learned.h"

#include <algorithm>
#include <bit>

namespace routing {

namespace {

using core::Fault;
using core::FaultKind;

struct Entry {
    const Target* target;
    std::int64_t weight;
};

/// Names of feature bits, for reasons.
std::string names_of(core::Features bits)
{
    static constexpr std::string_view names[] = {"tools",       "parallel tools", "server tools", "images",       "files",
                                                 "audio input", "audio output",   "JSON mode",    "JSON schema",  "reasoning",
                                                 "logprobs",    "several answers", "prefill",     "cache marks",  "streaming"};
    std::string out;
    for (; bits; bits &= bits - 1) {
        const auto at = static_cast<std::size_t>(std::countr_zero(bits));
        if (at >= std::size(names)) break;
        (out += out.empty() ? "" : ", ") += names[at];
    }
    return out;
}

// What the operator's facts say must be there. The rest (streaming, several answers, prefill …) most servers do without saying so.
constexpr core::Features hard = core::Tools | core::ParallelTools | core::Images | core::Files | core::AudioIn | core::AudioOut |
                                core::JsonObject | core::JsonSchema | core::Reasoning;

bool any_match(std::span<const std::string> patterns, const Target& target)
{
    return std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return matches(p, target); });
}

/// What goes through the filters and why the rest does not.
class Filter {
public:
    Filter(const Ask& ask, bool explain, Decision& decision) : ask_(ask), explain_(explain), decision_(decision) {}

    /// `strict`: a needed feature must be known to be offered, not just not known to be missing.
    std::vector<Entry> run(const std::vector<Entry>& pool, bool strict)
    {
        std::vector<Entry> kept;
        kept.reserve(pool.size());
        forbidden_ = too_long_ = incapable_ = other_trade_ = 0;
        decision_.dropped.clear();
        for (const auto& entry : pool)
            if (passes(*entry.target, strict)) kept.push_back(entry);
        return kept;
    }

    Fault fault(std::size_t pool) const
    {
        const std::string model(ask_.request.model);
        if (other_trade_ == pool)
            return {.kind = FaultKind::NoCapableModel,
                    .message = "No model behind `" + model + "` serves " + std::string(core::op_name(ask_.op)) + '.',
                    .param = "model"};
        if (forbidden_ == pool) return {.kind = FaultKind::Forbidden, .message = "No target of `" + model + "` is allowed by this request's allow, deny, price, quality or latency limits."};
        if (too_long_ && !incapable_)
            return {.kind = FaultKind::TooLong,
                    .message = "This request is longer than the context of every model behind `" + model + "` (about " +
                               std::to_string(ask_.request.est_input_tokens) + " tokens of input).",
                    .param = "messages"};
        return {.kind = FaultKind::NoCapableModel,
                .message = "No model behind `" + model + "` can do what this request needs: " + names_of(ask_.request.features & hard) + ".",
                .param = "model"};
    }

private:
    bool drop(const Target& t, std::string reason, std::size_t& counter)
    {
        ++counter;
        if (explain_) decision_.dropped.push_back({t.id, std::move(reason)});
        return false;
    }

    bool passes(const Target& t, bool strict)
    {
        if (!(t.operations & core::bit_of(ask_.op))) return drop(t, "does not serve " + std::string(core::op_name(ask_.op)), other_trade_);
        if (ask_.op == core::Op::Chat && t.serves[static_cast<std::size_t>(ask_.dialect)] == Serves::No) return drop(t, "does not speak the client's dialect", incapable_);
        if (any_match(ask_.deny, t)) return drop(t, "denied by the request", forbidden_);
        if (!ask_.allow.empty() && !any_match(ask_.allow, t)) return drop(t, "not among those the request allows", forbidden_);
        const auto needed = ask_.request.features & hard;
        if (const auto missing = needed & t.facts.features_known & ~t.facts.features; missing && !t.open)
            return drop(t, "cannot do: " + names_of(missing), incapable_);
        if (const auto unsure = needed & ~t.facts.features; strict && unsure && !t.open)
            return drop(t, "not known to do: " + names_of(unsure), incapable_);
        const auto need = ask_.request.est_input_tokens;
        const bool one_text = ask_.op == core::Op::Chat || ask_.op == core::Op::Completions; // others send lists, each item of which must fit
        if (one_text && t.facts.context_tokens > 0 && need > t.facts.context_tokens)
            return drop(t, "context of " + std::to_string(t.facts.context_tokens) + " tokens is too small for about " + std::to_string(need), too_long_);
        if (ask_.max_cost_nusd >= 0) {
            const auto cost = ledger::expected_cost_nusd(t.facts, ask_.request.est_input_tokens, ask_.request.est_output_tokens);
            if (cost > ask_.max_cost_nusd) return drop(t, "expected cost is over the request's limit", forbidden_);
        }
        if (ask_.min_quality >= 0 && (t.facts.quality >= 0 ? t.facts.quality < ask_.min_quality : strict))
            return drop(t, t.facts.quality >= 0 ? "quality is below the request's limit" : "quality is not known", forbidden_);
        const auto ttft_us = t.health->ttft_us.load(std::memory_order_relaxed);
        if (ask_.max_latency_ms >= 0 && ttft_us > ask_.max_latency_ms * 1000)
            return drop(t, "its first token takes longer than the request allows", forbidden_);
        return true;
    }

    const Ask& ask_;
    bool explain_;
    Decision& decision_;
    std::size_t forbidden_ = 0, too_long_ = 0, incapable_ = 0, other_trade_ = 0;
};

CandidateView view_of(const Entry& entry, const Ask& ask, std::string_view open_model, const Moment& moment)
{
    const Target& t = *entry.target;
    const auto& h = *t.health;
    const auto get = [](const auto& a) { return a.load(std::memory_order_relaxed); };
    CandidateView v;
    v.id = t.id, v.endpoint = t.provider, v.model = t.open ? open_model : std::string_view(t.model);
    v.labels = t.labels, v.features = t.facts.features;
    v.local = t.local, v.native = t.serves[static_cast<std::size_t>(ask.dialect)] == Serves::Native;
    v.cooling = t.cooling(moment.steady_us), v.over_limit = t.over_limit(moment.steady_us);
    v.headroom = t.lanes.empty() ? 1 : 0;
    for (const auto& lane : t.lanes)
        if (lane->usable(moment.steady_us)) v.headroom = std::max(v.headroom, lane->headroom(moment.steady_us));
    v.price_input = t.facts.price_input, v.price_output = t.facts.price_output;
    v.price_cache_read = t.facts.price_cache_read, v.price_cache_write = t.facts.price_cache_write;
    v.est_cost_nusd = ledger::expected_cost_nusd(t.facts, ask.request.est_input_tokens, ask.request.est_output_tokens);
    v.ttft_p50_us = get(h.ttft_us), v.ttft_p95_us = get(h.ttft_high_us), v.token_us = get(h.token_us);
    v.context_tokens = t.facts.context_tokens, v.max_output_tokens = t.facts.max_output_tokens;
    v.error_rate = get(h.error_ppm) / 1e6;
    if (t.facts.quality >= 0) v.quality = t.facts.quality;
    v.in_flight = get(h.in_flight), v.recent = h.recent_count(moment.steady_us);
    v.weight = static_cast<std::uint32_t>(std::max<std::int64_t>(0, entry.weight));
    return v;
}

/// Preferred ones first, in the order of the preferences; the rest keeps its order.
void prefer(std::vector<Choice>& order, std::span<const std::string> preferences)
{
    if (preferences.empty()) return;
    const auto rank = [&](const Choice& c) {
        std::size_t at = 0;
        while (at < preferences.size() && !matches(preferences[at], *c.target)) ++at;
        return at;
    };
    std::stable_sort(order.begin(), order.end(), [&](const Choice& a, const Choice& b) { return rank(a) < rank(b); });
}

/// Targets of the names in a chain, each once, names in order.
std::vector<Entry> chain_pool(const CandidateTable& table, const Ask& ask, Resolved& first)
{
    std::vector<Entry> pool;
    const auto add = [&](const Resolved& r) {
        const auto& list = r.route ? r.route->pool : r.targets;
        for (std::size_t i = 0; i < list.size(); ++i) {
            const bool known = std::any_of(pool.begin(), pool.end(), [&](const Entry& e) { return e.target == list[i]; });
            if (!known) pool.push_back({list[i], r.route ? r.route->weights[i] : list[i]->weight});
        }
        if (first.open_model.empty()) first.open_model = r.open_model;
    };
    add(first);
    for (const auto& name : ask.fallback_models) add(table.resolve(name)); // a name that means nothing is skipped
    return pool;
}

Choice choice_of(const Entry& entry, std::string_view open_model, std::int64_t cost, double score, std::string reason)
{
    const Target& t = *entry.target;
    Choice c{&t, t.open ? std::string(open_model) : t.upstream_model, t.id, cost, score, std::move(reason), {}};
    if (t.open) c.id = t.provider + '/' + c.model;
    return c;
}

} // namespace

core::Result<Decision> decide(const CandidateTable& table, const config::Routing& rules, const Ask& ask, const Moment& moment, bool explain)
{
    Decision d;
    Resolved found = table.resolve(ask.request.model);
    if (!found.route && found.targets.empty() && rules.unknown_to_default) found.route = table.route("auto");
    std::vector<Entry> pool = chain_pool(table, ask, found);
    if (pool.empty()) {
        if (table.targets.empty()) return Fault{.kind = FaultKind::NoProvider, .message = "No provider is configured.", .code = "no_providers_configured"};
        if (found.route) return Fault{.kind = FaultKind::NoProvider, .message = "Route `" + found.route->name + "` has no target: none of its providers is configured."};
        return Fault{.kind = FaultKind::NotFound,
                     .message = "The model `" + std::string(ask.request.model) + "` does not exist or no configured provider serves it.",
                     .code = "model_not_found",
                     .param = "model"};
    }
    d.effort = found.effort;
    const bool chained = !ask.fallback_models.empty();
    const Policy* policy = found.route && !chained ? found.route->policy.get() : nullptr;
    if (found.route) d.route = found.route->name, d.deadline_ms = found.route->deadline_ms, d.recovery = found.route->recovery, d.strict = found.route->strict;
    if (!ask.policy.empty()) {
        const auto other = table.policies.find(std::string(ask.policy));
        if (other == table.policies.end())
            return Fault{.kind = FaultKind::BadRequest, .message = "There is no policy `" + std::string(ask.policy) + "`.", .param = "portolan.policy"};
        policy = other->second.get();
    }
    if (const auto asked = table.policies.find(std::string(found.policy)); ask.policy.empty() && asked != table.policies.end()) policy = asked->second.get();
    if (!policy && !chained && pool.size() > 1) policy = table.pinned_policy.get();

    Filter filter(ask, explain, d);
    auto kept = filter.run(pool, found.route != nullptr);
    if (kept.empty() && found.route) kept = filter.run(pool, false); // none is sure to do it: those that may
    if (kept.empty()) return filter.fault(pool.size());
    if (found.route && !rules.preferred_models.empty()) { // if any preferred model can serve, only those
        std::vector<Entry> preferred;
        for (const auto& e : kept)
            if (any_match(rules.preferred_models, *e.target)) preferred.push_back(e);
        if (!preferred.empty()) kept = std::move(preferred);
    }

    if (!policy || (kept.size() == 1 && !explain)) {
        d.policy = policy ? policy->component() : "order";
        for (const auto& e : kept) {
            const auto cost = ledger::expected_cost_nusd(e.target->facts, ask.request.est_input_tokens, ask.request.est_output_tokens);
            d.order.push_back(choice_of(e, found.open_model, cost, 0, kept.size() == 1 ? "the only candidate" : "in the order given"));
        }
    } else {
        d.policy = policy->component();
        thread_local std::vector<CandidateView> views;
        thread_local Ranking ranking;
        views.clear();
        for (const auto& e : kept) views.push_back(view_of(e, ask, found.open_model, moment));
        std::vector<Turn> turns;
        if (policy->reads_content() && ask.turns) turns = (*ask.turns)();
        Snapshot s;
        s.route = d.route, s.tenant = ask.tenant, s.affinity = ask.affinity, s.request = &ask.request, s.candidates = views, s.turns = turns;
        s.now_us = moment.unix_us, s.seed = moment.seed;
        if (found.route) s.sequence = found.route->sequence->fetch_add(1, std::memory_order_relaxed);
        std::shared_ptr<const Learned::State> state;
        if (found.route && found.route->learned && policy == found.route->policy.get()) {
            state = found.route->learned->state();
            s.state = state->view();
        }
        policy->decide(s, ranking);
        d.failure = ranking.failure;
        for (const auto& p : ranking.picks) {
            d.order.push_back(choice_of(kept[p.index], found.open_model, views[p.index].est_cost_nusd, p.score, p.reason));
            d.order.back().note = p.note;
        }
        if (state && !ranking.picks.empty()) d.learned = found.route->learned, d.state_number = state->number;
        if (explain)
            for (const auto& skip : ranking.skips) d.dropped.push_back({kept[skip.index].target->id, "policy: " + skip.reason});
        if (d.order.empty()) // it said nothing usable: the operator's order stands
            for (std::size_t i = 0; i < kept.size(); ++i)
                d.order.push_back(choice_of(kept[i], found.open_model, views[i].est_cost_nusd, 0, "configured order"));
    }
    prefer(d.order, ask.prefer);
    if (!ask.allow_fallbacks) d.order.resize(1);
    return d;
}

} // namespace routing
