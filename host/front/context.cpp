#include "front/context.h"

#include <algorithm>

namespace front {

ledger::Counter& LoopContext::requests(std::string_view route, int status, bool stream)
{
    if (const auto known = requests_.find(std::tuple(route, status, stream)); known != requests_.end()) return *known->second;
    auto& made = services->metrics->counter("portolan_http_requests_total", {{"route", route}, {"code", std::to_string(status)}, {"stream", stream ? "1" : "0"}});
    requests_.emplace(std::tuple(std::string(route), status, stream), &made);
    return made;
}

ledger::Counter& LoopContext::attempts(const std::string& provider, std::string_view outcome)
{
    auto& slot = attempts_[{provider, std::string(outcome)}];
    if (!slot) slot = &services->metrics->counter("portolan_upstream_attempts_total", {{"provider", provider}, {"outcome", outcome}});
    return *slot;
}

ledger::Counter& LoopContext::tokens(std::string_view direction, const std::string& model)
{
    auto& slot = tokens_[{std::string(direction), model}];
    if (!slot) slot = &services->metrics->counter("portolan_tokens_total", {{"direction", direction}, {"model", model}});
    return *slot;
}

ledger::Counter& LoopContext::losses(const std::string& from, const std::string& to, const std::string& field)
{
    constexpr std::size_t most = 200;
    const bool plain = std::all_of(field.begin(), field.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; });
    std::tuple<std::string, std::string, std::string> key{from, to, plain && (losses_.size() < most || losses_.contains({from, to, field})) ? field : "other"};
    auto& slot = losses_[key];
    if (!slot) slot = &services->metrics->counter("portolan_translation_loss_total", {{"from", from}, {"to", to}, {"field", std::get<2>(key)}});
    return *slot;
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
