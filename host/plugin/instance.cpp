#include "plugin/instance.h"

#include "core/clock.h"
#include "core/ids.h"

namespace plugin {

core::Result<std::shared_ptr<const Instance>> Instance::create(std::shared_ptr<const Library> library, const std::string& component,
                                                               std::string config, const CallLimits& limits)
{
    const std::shared_ptr<Instance> made(new Instance(std::move(library), component, std::move(config), limits));
    const std::lock_guard guard(made->library_->load_lock());
    Call call(made->callee(), Function::Create,
              {.now_us = core::system_clock().unix_us(), .limit_us = limits.create_us, .seed = core::random_bits(), .trace_id = "load"});
    const auto status = call.run([&](const portolan_call* c) {
        return made->library_->create(c, made->component_, made->config_, &made->self_);
    });
    if (status < 0) {
        const auto why = call.why().empty() ? "create() returned " + std::to_string(status) : call.why();
        return core::Fault{.kind = core::FaultKind::PluginFailed, .message = component + ": " + why};
    }
    made->made_ = true;
    return std::shared_ptr<const Instance>(made);
}

Instance::~Instance()
{
    if (made_) {
        const std::lock_guard guard(library_->load_lock());
        Call call(callee(), Function::Close, {});
        call.run([&](const portolan_call*) {
            library_->destroy(component_, self_);
            return portolan_status{PORTOLAN_OK};
        });
    }
    library_->instances().fetch_sub(1, std::memory_order_release);
}

} // namespace plugin
