#include "control/answer.h"

#include "control/openapi.h"
#include "core/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace control {

namespace {

using core::Fault;
using core::FaultKind;
using Json = nlohmann::ordered_json;

constexpr std::int64_t most_records = 1000, default_records = 100;

/// Any number of headers' parameters may follow: "application/json; charset=utf-8".
bool is_json(std::string_view content_type) noexcept
{
    return core::equal_nocase(core::trim(content_type.substr(0, content_type.find(';'))), "application/json");
}

/// A browser says where a request comes from; another site's page has no business here, whatever it may send without asking.
bool from_elsewhere(std::string_view fetch_site) noexcept
{
    return !fetch_site.empty() && fetch_site != "same-origin" && fetch_site != "none";
}

std::string_view query_value(std::string_view query, std::string_view name) noexcept
{
    while (!query.empty()) {
        const auto pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        if (const auto equals = pair.find('='); pair.substr(0, equals) == name)
            return equals == pair.npos ? std::string_view() : pair.substr(equals + 1);
    }
    return {};
}

Reply ready_reply(const Readiness& readiness)
{
    const Json body{{"ready", readiness.ready}, {"reasons", readiness.reasons}};
    return {readiness.ready ? 200 : 503, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Reply reload_reply(const Reloaded& reloaded)
{
    const Json body{{"ok", reloaded.ok}, {"text", reloaded.text}};
    return {reloaded.ok ? 200 : 422, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Reply explain_reply(const Services& services, const Asked& asked, const Caller& caller)
{
    const auto body = Json::parse(asked.body, nullptr, false);
    if (body.is_discarded() || !body.is_object())
        return error_reply({.kind = FaultKind::BadRequest, .message = "The body is no JSON object."});
    return services.explain(asked.body, caller);
}

/// Of all targets, or of those that the body's `target` means.
Reply reset_reply(const Services& services, const Asked& asked)
{
    std::string pattern = "*";
    if (!asked.body.empty()) {
        const auto body = Json::parse(asked.body, nullptr, false);
        if (!body.is_object() || (body.contains("target") && !body["target"].is_string()))
            return error_reply({.kind = FaultKind::BadRequest, .message = "The body is an object with a text `target`, or nothing.", .param = "target"});
        pattern = body.value("target", pattern);
    }
    return {200, Json{{"reset", services.reset_breakers(pattern)}}.dump()};
}

Reply logs_reply(const Services& services, std::string_view query)
{
    const auto text = query_value(query, "limit");
    const auto limit = text.empty() ? default_records : core::to_int(text).value_or(0);
    if (limit < 1 || limit > most_records)
        return error_reply({.kind = FaultKind::BadRequest, .message = "limit is a number from 1 to 1000.", .param = "limit"});
    return {200, R"({"data":)" + services.recent_json(static_cast<std::size_t>(limit)) + "}"};
}

Reply log_reply(const Services& services, std::string_view id)
{
    auto record = services.request_json(id);
    if (record.empty())
        return error_reply({.kind = FaultKind::NotFound, .message = "No request with this id is among the last ones."});
    return {200, std::move(record)};
}

Reply dispatch(const Services& services, const core::ControlRoute& route, const Asked& asked, std::string_view path, std::string_view query,
               const Caller& caller)
{
    const auto is = [&](std::string_view method, std::string_view pattern) { return route.method == method && route.path == pattern; };
    if (is("GET", "/metrics")) return {200, services.metrics_text(), "text/plain; version=0.0.4; charset=utf-8"};
    if (is("GET", "/openapi.json")) return {200, openapi_json(services.version)};
    if (is("GET", "/api/ready")) return ready_reply(services.ready());
    if (is("GET", "/api/plugins")) return {200, services.plugins_json()};
    if (is("POST", "/api/plugins/reload")) return reload_reply(services.reload_plugins());
    if (is("GET", "/api/config")) return {200, services.config_json()};
    if (is("POST", "/api/config/reload")) return reload_reply(services.reload_config());
    if (is("GET", "/api/models")) return {200, services.models_json()};
    if (is("POST", "/api/route/explain")) return explain_reply(services, asked, caller);
    if (is("GET", "/api/breakers")) return {200, services.breakers_json()};
    if (is("GET", "/api/resilience")) return {200, services.resilience_json()};
    if (is("POST", "/api/resilience/reset")) return reset_reply(services, asked);
    if (is("GET", "/api/logs")) return logs_reply(services, query);
    if (is("GET", "/api/logs/{id}")) return log_reply(services, core::control_path_id(route, path));
    throw std::logic_error("control route without an answer: " + std::string(route.path));
}

} // namespace

std::optional<Caller> caller_of(std::string_view header)
{
    const auto json = Json::parse(header, nullptr, false);
    if (!json.is_object() || !json.contains("name") || !json.contains("scopes")) return std::nullopt;
    if (!json["name"].is_string() || !json["scopes"].is_array()) return std::nullopt;
    Caller caller;
    caller.name = json["name"].get<std::string>();
    for (const auto& scope : json["scopes"]) {
        if (scope == "chat") caller.chat = true;
        else if (scope == "read") caller.read = true;
        else if (scope == "admin") caller.admin = true;
        else return std::nullopt;
    }
    return caller;
}

Reply error_reply(const Fault& fault)
{
    const auto& rule = core::rule_of(fault.kind);
    const Json error{{"message", fault.message},
                     {"type", rule.type},
                     {"param", fault.param.empty() ? Json() : Json(fault.param)},
                     {"code", fault.client_code()}};
    return {fault.client_status(), Json{{"error", error}}.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Answer answer(const Services& services, const Asked& asked)
{
    const auto path = asked.target.substr(0, asked.target.find('?'));
    const auto query = asked.target.substr(std::min(asked.target.size(), path.size() + 1));
    bool path_known = false;
    const auto* route = core::find_control_route(asked.method, path, path_known);
    if (!route && path_known)
        return {error_reply({.kind = FaultKind::MethodNotAllowed, .message = "This path does not take this method."}), core::control_methods(path)};
    if (!route) return {error_reply({.kind = FaultKind::NotFound, .message = "There is no such path."})};
    const auto caller = caller_of(asked.caller);
    if (!route->open && (!caller || !caller->may(route->scope)))
        return {error_reply({.kind = FaultKind::Forbidden,
                             .message = "This needs a caller with the scope " + std::string(core::scope_name(route->scope)) + "."})};
    if (route->method == "POST") {
        if (from_elsewhere(asked.fetch_site))
            return {error_reply({.kind = FaultKind::Forbidden, .message = "Requests from other sites' pages are refused."})};
        const bool typed = !asked.content_type.empty() || !asked.body.empty();
        if (typed && !is_json(asked.content_type))
            return {error_reply({.kind = FaultKind::UnsupportedMedia, .message = "Only application/json is taken."})};
    }
    return {dispatch(services, *route, asked, path, query, caller.value_or(Caller{}))};
}

} // namespace control
