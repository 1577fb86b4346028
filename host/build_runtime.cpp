#include "build_runtime.h"

#include "account_order.h"
#include "core/log.h"
#include "core/text.h"
#include "routing/learned.h"

#include <algorithm>
#include <set>

namespace {

ledger::BreakerRules rules_of(const config::CircuitBreaker& b)
{
    const auto number = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
    return {number(b.failure_threshold), number(b.min_requests), b.failure_rate, b.window_seconds * 1'000'000, b.recovery_time_seconds * 1'000'000,
            number(b.half_open_probes)};
}

/// Another key is another account, whatever its name: the rest of a refused key ends when it is replaced.
std::string account_id(const config::Provider& p, const config::Account& a)
{
    return p.name + '/' + a.name + '#' + std::to_string(std::hash<std::string>()(a.key.value));
}

routing::Recovery recovery_of(const std::string& word)
{
    using enum routing::Recovery;
    return word == "none" ? None : word == "restart" ? Restart : word == "continue" ? Continue : Default;
}

class Builder {
public:
    Builder(std::shared_ptr<const config::Config> config, plugin::Registry& registry, ledger::HealthBook& health)
        : config_(std::move(config)), registry_(registry), health_(health), runtime_(std::make_shared<front::Runtime>())
    {
        runtime_->config = config_;
    }

    BuiltRuntime build(const Discovered& discovered, std::uint64_t generation, std::int64_t unix_us)
    {
        runtime_->generation = generation, runtime_->created_unix = unix_us / 1'000'000;
        try {
            runtime_->params = dispatch::ParamRules(config_->drop_rules);
        } catch (const std::invalid_argument& e) {
            problems_.push_back(std::string("routing.drop_params: ") + e.what());
        }
        for (const auto& p : config_->providers) add_provider(p, discovered);
        add_policies();
        for (const auto& r : config_->routes)
            for (const auto& t : r.targets)
                if (problems_.empty()) name_open_model(t.pattern);
        for (const auto& r : config_->routes) add_route(r);
        runtime_->table.model_aliases = config_->routing.model_aliases;
        const auto blocks = [](const std::shared_ptr<const routing::Policy>& p) { return p && p->blocks(); };
        auto& table = runtime_->table;
        table.decides_off_loop = std::any_of(table.policies.begin(), table.policies.end(), [&](const auto& p) { return blocks(p.second); }) ||
                                 std::any_of(table.routes.begin(), table.routes.end(), [&](const auto& r) { return blocks(r->policy); });
        table.index();
        list_models();
        for (const auto& k : config_->auth.keys) add_key(k);
        if (!problems_.empty()) return {nullptr, std::move(problems_)};
        return {runtime_, {}};
    }

private:
    void add_provider(const config::Provider& p, const Discovered& discovered)
    {
        auto made = registry_.make_provider(p.component, p.settings_json);
        if (!made && made.fault().kind == core::FaultKind::NoProvider) return core::log::warn("provider " + p.name + " is out of use: " + made.fault().message);
        if (!made) return problems_.push_back("provider " + p.name + ": " + made.fault().message);
        upstream::Endpoint e;
        e.name = p.name;
        e.provider = std::move(made).value();
        for (const auto& a : p.accounts) e.accounts.push_back({a.name, a.key.value, tokens_of(account_id(p, a) + p.settings_json)});
        e.base_url = p.base_url.empty() ? std::string(e.provider->base_url()) : p.base_url; // else the plugin's manifest says where
        e.ca_file = p.ca_file, e.proxy = p.proxy, e.tls_insecure = p.tls_insecure;
        e.proxies = {config_->proxy_http, config_->proxy_https, config_->proxy_all, config_->proxy_no};
        e.drain_on_disconnect = p.on_disconnect == "drain";
        e.timeouts = p.timeouts, e.breaker = rules_of(p.breaker), e.retries = health_.budget(p.name);
        for (const auto& [name, value] : p.extra_headers) e.extra_headers.emplace_back(core::lower(name), value);
        if (!e.provider->generates()) {
            auto place = e.place_of(e.base_url);
            if (!place) return problems_.push_back("provider " + p.name + ": base_url: " + place.fault().message);
            e.place = std::move(place).value();
        }
        e.limits = limits_of(p);
        if (e.accounts.size() > 1 && p.account_policy != "fill-first") {
            auto policy = registry_.make_policy(p.account_policy, "{}");
            const bool removed = !policy && policy.fault().kind == core::FaultKind::NoProvider;
            if (removed) core::log::warn("provider " + p.name + " asks its accounts in order: " + policy.fault().message);
            if (!policy && !removed) return problems_.push_back("provider " + p.name + ": accounts.policy: " + policy.fault().message);
            if (policy && (*policy)->blocks())
                return problems_.push_back("provider " + p.name + ": accounts.policy: " + p.account_policy + " runs in a process of its own, which is too slow for choosing an account");
            if (policy) e.order_accounts = order_accounts_by(std::move(policy).value(), e, sequence_of("accounts of " + p.name));
        }
        const auto index = runtime_->endpoints.size();
        std::set<std::string> known;
        for (const auto& m : p.models)
            if (known.insert(m.id).second) add_target(p, index, *e.provider, m, false);
        if (const auto found = discovered.find(p.name); found != discovered.end())
            for (const auto& m : found->second)
                if (known.insert(m.id).second) add_target(p, index, *e.provider, m, false);
        const bool asked = p.discover && discovered.contains(p.name); // its own list has come
        if (p.models_open && !asked) {
            config::ModelFacts any;
            any.id = "*";
            add_target(p, index, *e.provider, any, true);
        }
        auto& aliases = runtime_->table.provider_aliases;
        std::set<std::string> names{p.name, p.preset};
        names.insert(p.aliases.begin(), p.aliases.end());
        names.erase("");
        for (const auto& name : names) aliases[name].push_back(p.name);
        runtime_->endpoints.push_back(std::move(e));
    }

    std::shared_ptr<const ledger::Limits> limits_of(const config::Provider& p)
    {
        const auto allowance = [](const config::ProviderLimits& l) {
            return ledger::Allowance{l.rpm.value_or(0), l.tpm.value_or(0), l.concurrent.value_or(0), l.daily_requests.value_or(0), l.daily_nusd.value_or(0)};
        };
        ledger::Limits out;
        out.rules.provider = allowance(p.limits), out.rules.queue_us = p.limits.queue_ms * 1000;
        bool any = out.rules.provider.any();
        for (const auto& a : p.accounts) {
            out.rules.accounts.emplace_back(account_id(p, a), allowance(a.limits));
            any = any || out.rules.accounts.back().second.any();
        }
        if (!any) return nullptr;
        out.gate = health_.gate(p.name);
        return std::make_shared<const ledger::Limits>(std::move(out));
    }

    void add_target(const config::Provider& p, std::size_t endpoint, const dispatch::Provider& provider, const config::ModelFacts& facts, bool open)
    {
        auto t = std::make_unique<routing::Target>();
        t->endpoint = endpoint, t->provider = p.name, t->model = facts.id, t->id = p.name + '/' + facts.id;
        t->upstream_model = facts.upstream.empty() ? facts.id : facts.upstream;
        t->limits = limits_of(p);
        t->facts = facts, t->priority = p.priority, t->weight = p.weight, t->open = open, t->local = p.local;
        t->labels.emplace_back("tier", p.tier);
        for (const auto& [name, value] : p.tags) t->labels.emplace_back(name, value);
        for (int d = 1; d < static_cast<int>(t->serves.size()); ++d) {
            const auto match = provider.match(dispatch::Op::Chat, static_cast<dispatch::Dialect>(d));
            t->serves[static_cast<std::size_t>(d)] = !match.ok ? routing::Serves::No : match.native ? routing::Serves::Native : routing::Serves::Translated;
        }
        for (std::int32_t op = 1; op <= static_cast<std::int32_t>(core::op_names.size()); ++op)
            if (provider.match(static_cast<core::Op>(op), dispatch::Dialect::OpenAi).ok) t->operations |= core::bit_of(static_cast<core::Op>(op));
        for (const auto serves : t->serves) // a dialect of chat may be all that it speaks
            if (serves != routing::Serves::No) t->operations |= core::bit_of(core::Op::Chat);
        if (facts.operations) t->operations &= facts.operations;
        t->drop_params = runtime_->params.for_model(t->upstream_model);
        t->health = health_.target(t->id);
        for (const auto& a : p.accounts) t->lanes.push_back(health_.lane(t->id, account_id(p, a)));
        runtime_->table.targets.push_back(std::move(t));
    }

    /// One instance of each policy with its defaults, for requests that name one and for the providers of a pinned model.
    void add_policies()
    {
        for (const auto& file : registry_.list())
            for (const auto& c : file.components)
                if (c.kind.starts_with("portolan.policy/"))
                    if (auto made = registry_.make_policy(c.name, "{}", plugin::Registry::Wanted::IfPossible)) runtime_->table.policies[c.name] = std::move(made).value();
        const auto priority = runtime_->table.policies.find("priority");
        if (priority != runtime_->table.policies.end()) runtime_->table.pinned_policy = priority->second;
    }

    /// A route may name a model of a provider that takes any: "upstream/some-model" becomes a target of its own.
    void name_open_model(const std::string& pattern)
    {
        auto& table = runtime_->table;
        const auto slash = pattern.find('/');
        if (slash == pattern.npos || pattern.find('*') != pattern.npos) return;
        if (std::any_of(table.targets.begin(), table.targets.end(), [&](const auto& t) { return routing::matches(pattern, *t); })) return;
        for (const auto& p : config_->providers) {
            if (!p.models_open || p.name != pattern.substr(0, slash)) continue;
            const auto at = runtime_->endpoint_of(p.name);
            if (at == runtime_->endpoints.size()) continue;
            config::ModelFacts facts;
            facts.id = pattern.substr(slash + 1);
            add_target(p, at, *runtime_->endpoints[at].provider, facts, false);
        }
    }

    void add_route(const config::Route& r)
    {
        auto made = registry_.make_policy(r.policy, r.settings_json);
        const bool removed = !made && made.fault().kind == core::FaultKind::NoProvider;
        if (removed) core::log::warn("route " + r.name + " keeps the configured order: " + made.fault().message);
        if (!made && !removed) return problems_.push_back("route " + r.name + ": " + made.fault().message);
        auto route = std::make_unique<routing::Route>();
        route->name = r.name, route->policy_name = r.policy, route->deadline_ms = r.deadline_ms, route->strict = r.strict;
        if (made) route->policy = std::move(made).value();
        if (route->policy && route->policy->learns()) route->learned = std::make_shared<routing::Learned>();
        route->recovery = recovery_of(r.recovery);
        route->sequence = sequence_of("route " + r.name);
        const auto add = [&](const routing::Target& t, std::int64_t weight) {
            const bool there = std::find(route->pool.begin(), route->pool.end(), &t) != route->pool.end();
            const bool virtual_elsewhere = is_route(t.model); // a relay's own "auto" is nobody's candidate
            if (!there && !t.open && !virtual_elsewhere) route->pool.push_back(&t), route->weights.push_back(weight);
        };
        std::vector<const routing::Target*> sorted;
        for (const auto& t : runtime_->table.targets) sorted.push_back(t.get());
        std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->priority < b->priority; });
        if (r.targets.empty())
            for (const auto* t : sorted) add(*t, t->weight);
        for (const auto& wanted : r.targets)
            for (const auto* t : sorted)
                if (routing::matches(wanted.pattern, *t)) add(*t, wanted.weight);
        runtime_->table.routes.push_back(std::move(route));
    }

    bool is_route(const std::string& name) const
    {
        return std::any_of(config_->routes.begin(), config_->routes.end(), [&](const auto& r) { return r.name == name; });
    }

    /// A route, or a provider's accounts, goes on counting where it was before a reload.
    static std::shared_ptr<std::atomic<std::uint64_t>> sequence_of(const std::string& name)
    {
        static std::map<std::string, std::shared_ptr<std::atomic<std::uint64_t>>> all; // [load]: one thread at a time
        auto& slot = all[name];
        if (!slot) slot = std::make_shared<std::atomic<std::uint64_t>>(0);
        return slot;
    }

    /// An account's access token outlives a reload that leaves its key and its provider's settings as they were.
    static std::shared_ptr<upstream::TokenCache> tokens_of(const std::string& account)
    {
        static std::map<std::string, std::weak_ptr<upstream::TokenCache>> all; // [load]: one thread at a time
        std::erase_if(all, [](const auto& entry) { return entry.second.expired(); });
        auto tokens = all[account].lock();
        if (!tokens) all[account] = tokens = std::make_shared<upstream::TokenCache>();
        return tokens;
    }

    void list_models()
    {
        std::set<std::string> listed;
        for (const auto& r : runtime_->table.routes)
            if (listed.insert(r->name).second) runtime_->models.push_back({r->name, "portolan"});
        for (const auto& t : runtime_->table.targets)
            if (!t->open && listed.insert(t->model).second) runtime_->models.push_back({t->model, t->provider});
    }

    void add_key(const config::StaticKey& k)
    {
        front::KeyDigest key{front::digest_of(k.key.value), k.name};
        const auto has = [&](std::string_view scope) { return std::find(k.scopes.begin(), k.scopes.end(), scope) != k.scopes.end(); };
        key.chat = has("chat"), key.read = has("read"), key.admin = has("admin");
        runtime_->keys.push_back(std::move(key));
    }

    std::shared_ptr<const config::Config> config_;
    plugin::Registry& registry_;
    ledger::HealthBook& health_;
    std::shared_ptr<front::Runtime> runtime_;
    std::vector<std::string> problems_;
};

} // namespace

BuiltRuntime build_runtime(std::shared_ptr<const config::Config> config, plugin::Registry& registry, ledger::HealthBook& health,
                           const Discovered& discovered, std::uint64_t generation, std::int64_t unix_us)
{
    return Builder(std::move(config), registry, health).build(discovered, generation, unix_us);
}
