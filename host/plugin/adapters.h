// Makes of instances what the host's rooms need.
#pragma once

#include "dispatch/provider.h"
#include "plugin/http_plan.h"
#include "plugin/instance.h"
#include "plugin/request.h"
#include "routing/policy.h"

namespace plugin {

/// What the manifest's grants and the operator's grants have in common.
struct Grants {
    bool content = false, subcall = false;
};

// All fail as PluginFailed if the component lacks its table or something in it.
core::Result<std::unique_ptr<dispatch::Provider>> adapt_provider(std::shared_ptr<const Instance>, Bases);
core::Result<std::unique_ptr<dispatch::Provider>> adapt_generator(std::shared_ptr<const Instance>);
core::Result<std::unique_ptr<routing::Policy>> adapt_policy(std::shared_ptr<const Instance>, Grants);

/// What a provider and a generator have in common.
class ComponentFacts : public dispatch::Provider {
public:
    explicit ComponentFacts(std::shared_ptr<const Instance> instance);
    [[nodiscard]] dispatch::Match match(dispatch::Op op, dispatch::Dialect client) const override { return ops_.match(op, client); }
    [[nodiscard]] bool streams() const override { return instance_->about().streams; }
    [[nodiscard]] const dispatch::AuthScheme* auth(std::string_view name) const override;

protected:
    const std::shared_ptr<const Instance> instance_;

private:
    OpTable ops_;
    std::map<std::string, dispatch::AuthScheme, std::less<>> auth_;
};

core::Fault no_table(const Instance&, const char* what);

} // namespace plugin
