// A generator's table as dispatch::Provider.
#include "plugin/adapters.h"
#include "plugin/events.h"
#include "plugin/request.h"
#include "plugin/status.h"

#include <algorithm>

namespace plugin {

namespace {

constexpr std::int64_t max_wait_us = 60'000'000; // a run that waits longer is looked at once a minute

class PluginRun final : public dispatch::GeneratorRun {
public:
    PluginRun(std::shared_ptr<const Instance> instance, const portolan_generator& face, const dispatch::ProviderRequest& request)
        : instance_(std::move(instance)), face_(face), native_(request.native), deadline_us_(request.deadline_us)
    {
    }
    ~PluginRun() override
    {
        if (!open_) return;
        Call call(instance_->callee(), Function::Close, {});
        call.run([this](const portolan_call*) {
            face_.close(run_);
            return portolan_status{PORTOLAN_OK};
        });
    }

    core::Status open(const dispatch::CallFacts& facts, const dispatch::ProviderRequest& request)
    {
        RequestStore store;
        const auto asked = abi_request(request, instance_->about(), store);
        Call call(instance_->callee(), Function::Open, facts_of(facts, instance_->limits().request_us));
        const auto status = call.run([&](const portolan_call* c) { return face_.open(instance_->self(), c, &asked, &run_); });
        if (status < 0) return fault_of_status(status, call.why());
        open_ = true;
        return core::Done{};
    }

    core::Result<Step> step(const dispatch::CallFacts& facts, dispatch::EventSink& sink) override
    {
        Incoming in(sink, native_);
        Call call(instance_->callee(), Function::Step, facts_of(facts, limit_us(facts.now_us)), {.events = &in});
        const auto status = call.run([&](const portolan_call* c) { return face_.step(run_, c, &events_table); });
        if (status < 0 && in.refused())
            return core::Fault{.kind = core::FaultKind::PluginFailed, .message = std::string("the generator plugin broke a rule: ") + in.refused()};
        if (status < 0 && in.stopped()) return core::Fault{.kind = core::FaultKind::Cancelled, .message = "stopped"};
        if (status < 0) return fault_of_status(status, call.why());
        const bool more = status == PORTOLAN_MORE;
        return Step{more, more ? std::clamp<std::int64_t>(in.later_us(), 0, max_wait_us) : 0};
    }

private:
    /// One that may block has until the request's deadline, one that runs on a loop as long as a frame.
    [[nodiscard]] std::int64_t limit_us(std::int64_t now_us) const
    {
        if (!instance_->about().blocking) return instance_->limits().frame_us;
        return deadline_us_ > 0 ? std::max<std::int64_t>(deadline_us_ - now_us, 1) : 0;
    }

    std::shared_ptr<const Instance> instance_;
    const portolan_generator face_;
    const bool native_;
    const std::int64_t deadline_us_;
    void* run_ = nullptr;
    bool open_ = false;
};

class PluginGenerator final : public ComponentFacts {
public:
    PluginGenerator(std::shared_ptr<const Instance> instance, const portolan_generator& face) : ComponentFacts(std::move(instance)), face_(face) {}

    [[nodiscard]] bool generates() const override { return true; }
    [[nodiscard]] std::string_view base_url() const override { return {}; }
    [[nodiscard]] bool blocks() const override { return instance_->about().blocking || instance_->isolated(); }
    core::Result<std::unique_ptr<dispatch::ProviderExchange>> open(const dispatch::CallFacts&, const dispatch::ProviderRequest&) const override
    {
        return core::Fault{.kind = core::FaultKind::PluginFailed, .message = instance_->component() + " is a generator: it sends nothing"};
    }
    core::Result<std::unique_ptr<dispatch::GeneratorRun>> open_run(const dispatch::CallFacts& facts, const dispatch::ProviderRequest& request) const override
    {
        if (const auto may = may_call(instance_->callee()); !may) return may.fault();
        auto run = std::make_unique<PluginRun>(instance_, face_, request);
        if (const auto opened = run->open(facts, request); !opened) return opened.fault();
        return std::unique_ptr<dispatch::GeneratorRun>(std::move(run));
    }

private:
    const portolan_generator face_;
};

} // namespace

core::Result<std::unique_ptr<dispatch::Provider>> adapt_generator(std::shared_ptr<const Instance> instance)
{
    const auto face = instance->face<portolan_generator>(PORTOLAN_GENERATOR);
    if (!face.struct_size) return no_table(*instance, "library has no table " PORTOLAN_GENERATOR " for it");
    if (!face.open || !face.step || !face.close) return no_table(*instance, "generator table has empty places");
    return std::unique_ptr<dispatch::Provider>(std::make_unique<PluginGenerator>(std::move(instance), face));
}

} // namespace plugin
