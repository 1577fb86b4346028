#include "front/context.h"

#include <algorithm>

namespace front {

namespace {

/// The counter under `key`, a view of what the map's own keys are; `make` asks the registry for it once.
template <class Map, class Key, class Make>
ledger::Counter& kept(Map& counters, const Key& key, Make&& make)
{
    if (const auto known = counters.find(key); known != counters.end()) return *known->second;
    return *counters.emplace(key, &make()).first->second;
}

} // namespace

ledger::Counter& LoopContext::requests(std::string_view route, int status, bool stream)
{
    return kept(requests_, std::tuple(route, status, stream), [&]() -> auto& {
        return services->metrics->counter("portolan_http_requests_total", {{"route", route}, {"code", std::to_string(status)}, {"stream", stream ? "1" : "0"}});
    });
}

ledger::Counter& LoopContext::attempts(std::string_view provider, std::string_view outcome)
{
    return kept(attempts_, std::tuple(provider, outcome),
                [&]() -> auto& { return services->metrics->counter("portolan_upstream_attempts_total", {{"provider", provider}, {"outcome", outcome}}); });
}

ledger::Counter& LoopContext::tokens(std::string_view direction, std::string_view model)
{
    return kept(tokens_, std::tuple(direction, model),
                [&]() -> auto& { return services->metrics->counter("portolan_tokens_total", {{"direction", direction}, {"model", model}}); });
}

ledger::Counter& LoopContext::losses(std::string_view from, std::string_view to, std::string_view field)
{
    constexpr std::size_t most = 200;
    const bool plain = std::all_of(field.begin(), field.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; });
    const auto as = plain && (losses_.size() < most || losses_.contains(std::tie(from, to, field))) ? field : "other";
    return kept(losses_, std::tuple(from, to, as),
                [&]() -> auto& { return services->metrics->counter("portolan_translation_loss_total", {{"from", from}, {"to", to}, {"field", as}}); });
}

LoopContext::Series& LoopContext::series()
{
    if (!series_.duration) {
        auto& m = *services->metrics;
        series_ = {&m.histogram("portolan_request_duration_seconds"), &m.histogram("portolan_ttft_seconds"), &m.histogram("portolan_overhead_seconds"),
                   &m.histogram("portolan_upstream_duration_seconds"), &m.counter("portolan_cost_microusd_total"), 0};
    }
    return series_;
}

const std::vector<config::DropParam>& LoopContext::drop_params(const std::string& upstream_model)
{
    if (drop_params_generation_ != runtime->generation || drop_params_.size() > 1000) drop_params_.clear();
    drop_params_generation_ = runtime->generation;
    const auto found = drop_params_.find(upstream_model);
    return found != drop_params_.end() ? found->second : drop_params_.emplace(upstream_model, runtime->params.for_model(upstream_model)).first->second;
}

} // namespace front
