// A provider's table as dispatch::Provider.
#include "plugin/adapters.h"
#include "plugin/events.h"
#include "plugin/request.h"
#include "plugin/status.h"

namespace plugin {

namespace {

/// What every exchange of one component shares.
struct Shared {
    std::shared_ptr<const Instance> instance;
    portolan_provider face;
    Bases bases;
};

core::Fault plugin_fault(std::string message) { return {.kind = core::FaultKind::PluginFailed, .message = std::move(message)}; }

/// A call that wrote events: fine, stopped by us, or a fault.
core::Status outcome(portolan_status status, const Call& call, const Incoming& in)
{
    if (status >= 0) return core::Done{};
    if (in.refused()) return plugin_fault(std::string("the provider plugin broke a rule: ") + in.refused());
    if (in.stopped()) return core::Fault{.kind = core::FaultKind::Cancelled, .message = "stopped"};
    return fault_of_status(status, call.why());
}

class PluginExchange final : public dispatch::ProviderExchange {
public:
    PluginExchange(std::shared_ptr<const Shared> shared, bool native) : shared_(std::move(shared)), native_(native) {}

    ~PluginExchange() override
    {
        if (!open_) return;
        Call call(callee(), Function::Close, {});
        call.run([this](const portolan_call*) {
            shared_->face.close(exchange_);
            return portolan_status{PORTOLAN_OK};
        });
    }

    core::Status open(const dispatch::CallFacts& facts, const dispatch::ProviderRequest& request)
    {
        const auto asked = abi_request(request, shared_->instance->about(), request_store_);
        Call call(callee(), Function::Open, facts_of(facts, limits().request_us));
        const auto status =
            call.run([&](const portolan_call* c) { return shared_->face.open(shared_->instance->self(), c, &asked, &exchange_); });
        if (status < 0) return fault_of_status(status, call.why());
        open_ = true;
        return core::Done{};
    }

    core::Result<dispatch::HttpPlan> request(const dispatch::CallFacts& facts, const dispatch::ProviderRequest& request) override
    {
        native_ = request.native;
        const auto asked = abi_request(request, shared_->instance->about(), request_store_);
        Outgoing out(shared_->instance->about(), shared_->bases, request.parts.size());
        Call call(callee(), Function::Request, facts_of(facts, limits().request_us), {.http = &out});
        const auto status = call.run([&](const portolan_call* c) { return shared_->face.request(exchange_, c, &asked, &http_table); });
        if (out.broke_a_rule()) call.refuse_result();
        if (status < 0) return fault_of_status(status, call.why());
        return std::move(out).done();
    }

    core::Status frame(const dispatch::CallFacts& facts, const dispatch::Reply& reply, const dispatch::Frame& frame, dispatch::EventSink& sink) override
    {
        const auto head = head_of(reply);
        const portolan_frame piece{sizeof piece, frame.kind, &head, to_abi(frame.event), to_abi(frame.data), to_abi(frame.raw)};
        Incoming in(sink, native_);
        Call call(callee(), Function::Frame, facts_of(facts, limits().frame_us), {.events = &in});
        const auto status = call.run([&](const portolan_call* c) { return shared_->face.frame(exchange_, c, &piece, &events_table); });
        return outcome(status, call, in);
    }

    core::Result<bool> end(const dispatch::CallFacts& facts, dispatch::EventSink& sink) override
    {
        Incoming in(sink, native_);
        Call call(callee(), Function::End, facts_of(facts, limits().frame_us), {.events = &in});
        const auto status = call.run([&](const portolan_call* c) { return shared_->face.end(exchange_, c, &events_table); });
        if (const auto result = outcome(status, call, in); !result) return result.fault();
        return status == PORTOLAN_MORE;
    }

    core::Fault classify(const dispatch::CallFacts& facts, const dispatch::Reply& reply) override
    {
        if (!shared_->face.classify) return {};
        const auto head = head_of(reply);
        FaultOnly in;
        Call call(callee(), Function::Classify, facts_of(facts, limits().frame_us), {.events = &in});
        const auto status = call.run([&](const portolan_call* c) { return shared_->face.classify(exchange_, c, &head, &events_table); });
        if (status < 0) return {};
        in.fault.upstream_status = reply.status;
        return std::move(in.fault);
    }

private:
    portolan_reply head_of(const dispatch::Reply& reply)
    {
        fill_pairs(reply.headers, reply_headers_);
        return {sizeof(portolan_reply), reply.status, reply_headers_.data(), reply_headers_.size(), to_abi(reply.body)};
    }
    [[nodiscard]] Callee& callee() const noexcept { return shared_->instance->callee(); }
    [[nodiscard]] const CallLimits& limits() const noexcept { return shared_->instance->limits(); }

    std::shared_ptr<const Shared> shared_;
    void* exchange_ = nullptr;
    bool open_ = false, native_;
    RequestStore request_store_;
    std::vector<portolan_pair> reply_headers_;
};

class PluginProvider final : public ComponentFacts {
public:
    explicit PluginProvider(std::shared_ptr<const Shared> shared) : ComponentFacts(shared->instance), shared_(std::move(shared)) {}

    [[nodiscard]] bool generates() const override { return false; }
    [[nodiscard]] bool blocks() const override { return instance_->isolated(); }
    [[nodiscard]] std::string_view base_url() const override
    {
        const auto own = shared_->bases.find("");
        return own == shared_->bases.end() ? std::string_view() : std::string_view(own->second);
    }
    core::Result<std::unique_ptr<dispatch::ProviderExchange>> open(const dispatch::CallFacts& facts, const dispatch::ProviderRequest& request) const override
    {
        if (const auto may = may_call(instance_->callee()); !may) return may.fault();
        auto exchange = std::make_unique<PluginExchange>(shared_, request.native);
        if (const auto opened = exchange->open(facts, request); !opened) return opened.fault();
        return std::unique_ptr<dispatch::ProviderExchange>(std::move(exchange));
    }
    core::Result<std::unique_ptr<dispatch::GeneratorRun>> open_run(const dispatch::CallFacts&, const dispatch::ProviderRequest&) const override
    {
        return plugin_fault(instance_->component() + " is no generator");
    }

private:
    std::shared_ptr<const Shared> shared_;
};

} // namespace

core::Result<std::unique_ptr<dispatch::Provider>> adapt_provider(std::shared_ptr<const Instance> instance, Bases bases)
{
    const auto face = instance->face<portolan_provider>(PORTOLAN_PROVIDER);
    if (!face.struct_size) return no_table(*instance, "library has no table " PORTOLAN_PROVIDER " for it");
    if (!face.open || !face.request || !face.frame || !face.end || !face.close) return no_table(*instance, "provider table has empty places");
    auto shared = std::make_shared<const Shared>(Shared{std::move(instance), face, std::move(bases)});
    return std::unique_ptr<dispatch::Provider>(std::make_unique<PluginProvider>(std::move(shared)));
}

} // namespace plugin
