// What the control plane and the metrics see of the process.
#include "app.h"

#include "core/log.h"
#include "core/text.h"
#include "explain.h"
#include "plugin_report.h"
#include "resilience_report.h"

#include <nlohmann/json.hpp>

#include <csignal>
#include <future>

#include <unistd.h>

using nlohmann::ordered_json;

namespace {

std::string config_report(const config::Config& c)
{
    ordered_json out{{"values", ordered_json::object()}, {"unusable", c.unusable}, {"warnings", c.warnings}, {"files", c.files}};
    for (const auto& e : c.effective) out["values"][e.path] = {{"value", ordered_json::parse(e.value, nullptr, false)}, {"source", e.source}};
    return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string models_report(const front::Runtime& runtime)
{
    const auto known = [](std::int64_t v) { return v < 0 ? ordered_json(nullptr) : ordered_json(v); };
    ordered_json out{{"models", ordered_json::array()}};
    for (const auto& t : runtime.table.targets)
        out["models"].push_back({{"id", t->id}, {"provider", t->provider}, {"model", t->model}, {"open", t->open}, {"reachable", true},
                                 {"context_tokens", known(t->facts.context_tokens)}, {"price_input_pusd", known(t->facts.price_input)},
                                 {"price_output_pusd", known(t->facts.price_output)}});
    return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

} // namespace

control::Services App::control_services()
{
    control::Services s;
    s.version = services_.version;
    s.metrics_text = [this] { return metrics_.render() + plugins_metrics(*registry_); };
    s.plugins_json = [this] { return plugins_json(*registry_); };
    s.config_json = [this] { return config_report(*current()->config); };
    s.models_json = [this] { return models_report(*current()); };
    s.breakers_json = [this] { return breakers_json(*current(), clock_.steady_us()); };
    s.resilience_json = [this] { return resilience_json(*current(), clock_.steady_us()); };
    s.reset_breakers = [this](std::string_view pattern) { return reset_lanes(*current(), pattern); };
    s.explain = [this](std::string_view body, const control::Caller& caller) {
        auto e = explain(*current(), body, caller.name, clock_);
        return control::Reply{e.status, std::move(e.body), "application/json"};
    };
    s.ready = [this] {
        const bool draining = services_.draining;
        return control::Readiness{!draining, draining ? std::vector<std::string>{"draining"} : std::vector<std::string>{}};
    };
    const auto reload = [this] { return request_reload(); };
    s.reload_config = reload;
    s.reload_plugins = reload;
    s.recent_json = [this](std::size_t n) {
        std::string out = "[";
        for (const auto& r : recent_.last(n)) (out += out.size() > 1 ? "," : "") += ledger::record_json(*r);
        return out + ']';
    };
    s.request_json = [this](std::string_view id) {
        const auto r = recent_.find(id);
        return r ? ledger::record_json(*r) : std::string();
    };
    return s;
}

control::Reloaded App::request_reload()
{
    std::future<control::Reloaded> answer;
    {
        const std::lock_guard lock(mutex_);
        answer = reloads_wanted_.emplace_back().get_future();
    }
    ::kill(::getpid(), SIGHUP); // wakes the main thread, which alone loads
    if (answer.wait_for(std::chrono::seconds(20)) != std::future_status::ready) return {false, "the reload is still under way"};
    return answer.get();
}

void App::describe_metrics()
{
    const auto gauge = [this](const char* name, auto read) { metrics_.gauge(name, {}, [read] { return static_cast<double>(read()); }); };
    metrics_.gauge("portolan_build_info", {{"version", services_.version}}, [] { return 1.0; });
    gauge("portolan_connections_open", [this] { return server_counters_.open.load(); });
    gauge("portolan_streams_active", [this] { return services_.streams_active.load(); });
    gauge("portolan_log_dropped_total", [] { return core::log::dropped(); });
    gauge("portolan_loop_lag_seconds", [this] { return loops_ ? static_cast<double>(loops_->take_lag_us()) / 1e6 : 0.0; });
    gauge("portolan_config_generation", [this] { return current()->generation; });
    gauge("portolan_targets_cooling", [this] {
        std::size_t n = 0;
        for (const auto& t : current()->table.targets) n += t->cooling(clock_.steady_us());
        return n;
    });
    gauge("portolan_breakers_open", [this] {
        std::size_t n = 0;
        for (const auto& t : current()->table.targets)
            for (const auto& lane : t->lanes) n += lane->breaker.state(clock_.steady_us()) != ledger::Breaker::State::Closed;
        return n;
    });
    gauge("portolan_connections_accepted_total", [this] { return server_counters_.accepted.load(); });
    gauge("portolan_connections_refused_total", [this] { return server_counters_.refused_connections.load(); });
    for (const auto& [kind, counter] : {std::pair{"header", &server_counters_.timeouts_header}, {"body", &server_counters_.timeouts_body},
                                        {"idle", &server_counters_.timeouts_idle}, {"write_stall", &server_counters_.write_stalls}})
        metrics_.gauge("portolan_connection_timeouts_total", {{"kind", kind}}, [counter] { return static_cast<double>(counter->load()); });
    gauge("portolan_buffered_bytes", [this] { return server_counters_.held_bytes.load(); });
    for (const auto& [result, counter] : {std::pair{"cut", &server_counters_.crowded_cut}, {"refused", &server_counters_.crowded_refused}})
        metrics_.gauge("portolan_buffer_full_total", {{"result", result}}, [counter] { return static_cast<double>(counter->load()); });
    for (const auto& [kind, counter] : {std::pair{"connect", &client_counters_.connects}, {"reuse", &client_counters_.reuses},
                                        {"stale_retry", &client_counters_.stale_retries}})
        metrics_.gauge("portolan_upstream_connections_total", {{"kind", kind}}, [counter] { return static_cast<double>(counter->load()); });
}
