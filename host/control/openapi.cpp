#include "control/openapi.h"

#include "core/control_routes.h"
#include "core/text.h"

#include <nlohmann/json.hpp>

#include <array>

namespace control {

namespace {

using Json = nlohmann::ordered_json;

struct Row {
    std::string_view method, path, scope, summary;
};

/// What the front door answers itself.
constexpr std::array data_plane{
    Row{"POST", "/v1/chat/completions", "chat", "Answer a chat, whole or streamed; `model` is a model, a provider/model or a route."},
    Row{"POST", "/v1/providers/{provider}/chat/completions", "chat", "The same, from this provider only."},
    Row{"GET", "/v1/models", "chat", "The models and routes that can be asked for."},
    Row{"GET", "/v1/models/{id}", "chat", "One of them."},
    Row{"GET", "/health", "", "The same as /readyz, for tools that look here."},
    Row{"GET", "/livez", "", "200 while the process runs."},
    Row{"GET", "/readyz", "", "200 if requests can be served, 503 while not."},
};

std::string_view summary_of(const core::ControlRoute& route) noexcept
{
    static constexpr std::array summaries{
        Row{"GET", "/metrics", "", "Counters, gauges and histograms in the Prometheus text format."},
        Row{"GET", "/openapi.json", "", "This document."},
        Row{"GET", "/api/ready", "", "Whether requests can be served, and why not."},
        Row{"GET", "/api/plugins", "", "The plugins: name, kind, version, ABI, state, hash."},
        Row{"POST", "/api/plugins/reload", "", "Look through the plugin folders again."},
        Row{"GET", "/api/config", "", "Every setting in force and where it came from; secrets are masked."},
        Row{"POST", "/api/config/reload", "", "Read the configuration again; a bad one changes nothing."},
        Row{"GET", "/api/models", "", "Every model of every provider, with its facts and whether it can be reached."},
        Row{"POST", "/api/route/explain", "", "Who would answer this request, in which order and why. Asks no upstream."},
        Row{"GET", "/api/breakers", "", "The breaker, lock-out and rate limit of every target and account."},
        Row{"GET", "/api/resilience", "", "Rules of retries and breakers, retry budgets, accounts that rest."},
        Row{"POST", "/api/resilience/reset", "", "Close breakers and end rests, of all targets or of those that `target` means."},
        Row{"GET", "/api/logs", "", "The last requests, newest first; ?limit=1..1000, 100 if left out."},
        Row{"GET", "/api/logs/{id}", "", "One of the last requests: route, attempts, outcome."},
    };
    for (const auto& row : summaries)
        if (row.method == route.method && row.path == route.path) return row.summary;
    return {};
}

void add(Json& paths, std::string_view method, std::string_view path, std::string_view scope, std::string_view summary)
{
    Json operation{{"summary", summary}};
    if (const auto open = path.find('{'); open != path.npos) {
        const auto name = path.substr(open + 1, path.find('}') - open - 1);
        operation["parameters"] = Json::array({{{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}});
    }
    if (path == "/api/logs")
        operation["parameters"] = Json::array(
            {{{"name", "limit"}, {"in", "query"}, {"schema", {{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}, {"default", 100}}}}});
    const bool takes_body = method == "POST" && !path.ends_with("/reload") && !path.ends_with("/reset");
    if (takes_body)
        operation["requestBody"] = {{"required", true}, {"content", {{"application/json", {{"schema", {{"type", "object"}}}}}}}};
    operation["responses"] = {{"200", {{"description", "The answer."}}},
                              {"default", {{"description", "An error."},
                                           {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}}}};
    if (scope.empty())
        operation["security"] = Json::array();
    else
        operation["x-portolan-scope"] = scope;
    paths[std::string(path)][core::lower(method)] = std::move(operation);
}

} // namespace

std::string openapi_json(std::string_view version)
{
    Json paths = Json::object();
    for (const auto& row : data_plane) add(paths, row.method, row.path, row.scope, row.summary);
    for (const auto& route : core::control_routes())
        add(paths, route.method, route.path, route.open ? std::string_view() : core::scope_name(route.scope), summary_of(route));
    const Json text{{"type", "string"}};
    const Json maybe_text{{"type", Json::array({"string", "null"})}};
    const Json error{{"type", "object"},
                     {"properties", {{"error", {{"type", "object"},
                                                {"properties", {{"message", text}, {"type", text}, {"param", maybe_text}, {"code", maybe_text}}}}}}}};
    const Json document{{"openapi", "3.1.0"},
                        {"info", {{"title", "Portolan"}, {"version", version}}},
                        {"security", Json::array({{{"bearer", Json::array()}}})},
                        {"paths", std::move(paths)},
                        {"components", {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}},
                                        {"schemas", {{"Error", error}}}}}};
    return document.dump();
}

} // namespace control
