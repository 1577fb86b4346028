// Every target that could answer, and the names under which clients reach them. Immutable; rebuilt when the configuration changes.
#pragma once

#include "config/config.h"
#include "ledger/health.h"
#include "routing/policy.h"

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace routing {

/// How an endpoint serves a client's dialect (index: dispatch::Dialect).
enum class Serves : std::uint8_t { No, Translated, Native };

/// A model at a provider.
struct Target {
    std::size_t endpoint = 0;              ///< index of the provider in the runtime
    std::string id, provider, model;       ///< "groq/llama", "groq", "llama"
    std::string upstream_model;
    config::ModelFacts facts;
    std::vector<std::pair<std::string, std::string>> labels;
    std::int64_t priority = 100, weight = 1;
    bool open = false;                     ///< any model name: `model` is then the one asked for
    bool local = false;
    std::vector<config::DropParam> drop_params;  ///< request parameters that this model refuses
    std::array<Serves, 6> serves{};
    core::Operations operations = 0;       ///< what the model is for and its provider can do
    std::shared_ptr<ledger::Health> health;
    ledger::Lanes lanes;                   ///< by the provider's accounts

    std::shared_ptr<const ledger::Limits> limits; ///< of its provider, null: none

    /// Our own limits hold it back for now.
    [[nodiscard]] bool over_limit(std::int64_t steady_us) const
    {
        if (!limits) return false;
        for (std::size_t account = 0; account < lanes.size(); ++account)
            if (!limits->gate->full(limits->rules, account, steady_us)) return false;
        return true;
    }
    /// None of its accounts may be asked now.
    [[nodiscard]] bool cooling(std::int64_t steady_us) const noexcept
    {
        for (const auto& lane : lanes)
            if (lane->usable(steady_us)) return false;
        return !lanes.empty();
    }
};

class Learned;

/// What becomes of an answer that broke after content.
enum class Recovery : std::uint8_t { Default, None, Restart, Continue };

/// A name that clients use as `model`, with its policy and pool.
struct Route {
    std::string name, policy_name;
    std::shared_ptr<const Policy> policy;
    std::vector<const Target*> pool;       ///< in order; the operator's priority, then file order
    std::vector<std::int64_t> weights;     ///< beside pool
    std::shared_ptr<std::atomic<std::uint64_t>> sequence = std::make_shared<std::atomic<std::uint64_t>>(0);
    std::shared_ptr<Learned> learned;      ///< null: its policy does not learn
    std::int64_t deadline_ms = 0;
    Recovery recovery = Recovery::Default;
    bool strict = false;                   ///< nothing may be lost in translation
    bool virtual_model = true;             ///< listed as a model of its own
};

/// What a model name means.
struct Resolved {
    const Route* route = nullptr;          ///< of a virtual model
    std::vector<const Target*> targets;    ///< of a pinned model, best priority first
    std::string effort;                    ///< taken from the name's suffix
    std::string_view policy;               ///< that the name's suffix asks for; empty: none
    std::string open_model;                ///< the name to pass on to open targets
};

class CandidateTable {
public:
    std::vector<std::unique_ptr<Target>> targets;
    std::vector<std::unique_ptr<Route>> routes;
    std::map<std::string, std::string> model_aliases;
    std::map<std::string, std::vector<std::string>> provider_aliases; ///< alias or name -> provider names
    std::map<std::string, std::shared_ptr<const Policy>> policies; ///< by component name, with default settings: portolan.policy
    bool decides_off_loop = false;          ///< one of the policies blocks
    std::shared_ptr<const Policy> pinned_policy; ///< orders the providers of one model

    /// [load] After all of the above is filled in.
    void index();

    /// route -> alias -> provider/id -> id -> one of these with a suffix (:floor, :nitro, an effort) -> open providers; nothing at all: an empty Resolved.
    [[nodiscard]] Resolved resolve(std::string_view model) const;
    [[nodiscard]] const Route* route(std::string_view name) const;
    [[nodiscard]] bool has_model(std::string_view id) const { return by_model_.contains(std::string(id)); }

private:
    Resolved resolve_name(std::string_view model) const;
    Resolved resolve_suffixed(std::string_view model) const;
    std::unordered_map<std::string, std::vector<const Target*>> by_model_, by_id_;
    std::unordered_map<std::string, const Route*> by_route_;
    std::vector<const Target*> open_;
};

/// True if `target` is meant by a pattern "provider/model", "provider/*", "*/model", "model" or "*". ASCII case is ignored.
[[nodiscard]] bool matches(std::string_view pattern, const Target& target) noexcept;

} // namespace routing
