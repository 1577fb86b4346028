// What providers and generators answer alike, straight from their manifest.
#include "plugin/adapters.h"
#include "plugin/http_plan.h"

namespace plugin {

ComponentFacts::ComponentFacts(std::shared_ptr<const Instance> instance) : instance_(std::move(instance)), ops_(instance_->about(), instance_->config())
{
    for (const auto& [name, entry] : instance_->about().auth) {
        auto& scheme = auth_[name] = {entry.scheme, entry.name, entry.prefix};
        for (const auto& [key, value] : entry.more)
            if (auto text = expanded(value, instance_->config())) scheme.more[key] = std::move(*text); // what is not configured stays empty
    }
}

const dispatch::AuthScheme* ComponentFacts::auth(std::string_view name) const
{
    const auto it = auth_.find(name);
    return it == auth_.end() ? nullptr : &it->second;
}

core::Fault no_table(const Instance& instance, const char* what)
{
    return {.kind = core::FaultKind::PluginFailed, .message = instance.component() + ": its " + what};
}

} // namespace plugin
