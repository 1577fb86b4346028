#include "front/routes.h"

#include "core/ids.h"
#include "core/text.h"
#include "front/authenticate.h"
#include "front/control_relay.h"
#include "front/error_reply.h"
#include "front/inference_handler.h"
#include "front/inference_paths.h"
#include "front/models_handler.h"
#include "front/status_handler.h"

namespace front {

namespace {

using core::Fault;
using core::FaultKind;
using wire::Method;

enum class Answers : std::uint8_t { Gemini, Models, Model, Health, Live, Ready, Root, NotYet };

struct Route {
    std::string_view path;   ///< "{*}" at the end: the rest
    bool get, post;          ///< methods; HEAD goes with GET
    core::Scope scope;       ///< None: open
    Answers answers;
    std::string_view label;  ///< in metrics
};

// Every path has an explicit scope; what is not here, in inference_paths.cpp or in core/control_routes.h does not exist.
constexpr Route routes[] = {
    {"/v1/models", true, false, core::Scope::Chat, Answers::Models, "/v1/models"},
    {"/v1/models/{*}", false, true, core::Scope::Chat, Answers::Gemini, "/v1/models/{m}:method"},
    {"/v1beta/models/{*}", false, true, core::Scope::Chat, Answers::Gemini, "/v1beta/models/{m}:method"},
    {"/v1beta/models", true, false, core::Scope::Chat, Answers::Models, "/v1beta/models"},
    {"/v1beta/models/{*}", true, false, core::Scope::Chat, Answers::Model, "/v1beta/models/{id}"},
    {"/v1/models/{*}", true, false, core::Scope::Chat, Answers::Model, "/v1/models/{id}"},
    {"/health", true, false, core::Scope::None, Answers::Health, "/health"},
    {"/livez", true, false, core::Scope::None, Answers::Live, "/livez"},
    {"/readyz", true, false, core::Scope::None, Answers::Ready, "/readyz"},
    {"/", true, false, core::Scope::None, Answers::Root, "/"},
    {"/v1/assistants", true, true, core::Scope::Chat, Answers::NotYet, "/v1/assistants"},
};

/// What stands for {*}, or false. It is never empty.
bool match(std::string_view pattern, std::string_view path, std::string_view& rest) noexcept
{
    const auto star = pattern.find("{*}");
    if (star == pattern.npos) return pattern == path;
    if (path.size() <= star || !path.starts_with(pattern.substr(0, star))) return false;
    rest = path.substr(star);
    return true;
}

/// What the end of a Gemini path says: "{model}:{method}", and whether its streams are events.
struct GeminiWay {
    enum class Method : std::uint8_t { None, Whole, Stream, Count } method = Method::None;
    std::string model;
    const dialect::Dialect* dialect = nullptr;
};

GeminiWay gemini_way(std::string_view rest, std::string_view query)
{
    GeminiWay way;
    const auto colon = rest.rfind(':');
    if (colon == rest.npos || colon == 0) return way;
    const auto method = rest.substr(colon + 1);
    way.model = decoded(rest.substr(0, colon));
    way.method = method == "generateContent"         ? GeminiWay::Method::Whole
                 : method == "streamGenerateContent" ? GeminiWay::Method::Stream
                 : method == "countTokens"           ? GeminiWay::Method::Count
                                                     : GeminiWay::Method::None;
    const auto pairs = core::split(query, '&');
    const bool events = std::find(pairs.begin(), pairs.end(), "alt=sse") != pairs.end();
    way.dialect = events || way.method != GeminiWay::Method::Stream ? &dialect::gemini_events() : &dialect::gemini_array();
    return way;
}

bool allows(const Route& r, Method m) noexcept
{
    return (r.get && (m == Method::Get || m == Method::Head)) || (r.post && m == Method::Post);
}

const Route* route_of(std::string_view path, Method method, std::string_view& rest) noexcept
{
    for (const auto& r : routes)
        if (match(r.path, path, rest) && allows(r, method)) return &r;
    return nullptr;
}

/// As in Allow; empty: no such path.
std::string methods_of(std::string_view path)
{
    std::string methods;
    for (const auto& r : routes) {
        std::string_view rest;
        if (!match(r.path, path, rest)) continue;
        for (const std::string_view one : {r.get ? "GET, HEAD" : "", r.post ? "POST" : ""})
            if (!one.empty() && methods.find(one) == methods.npos) (methods += methods.empty() ? "" : ", ") += one;
    }
    return methods;
}

struct Visit {
    wire::Exchange& exchange;
    LoopContext& context;
    const Runtime& runtime;
    std::string request_id;
};

/// Whose key it is, if it may.
core::Result<Caller> admit(const Visit& v, core::Scope scope, std::string_view label)
{
    if (scope == core::Scope::None) return Caller{};
    auto found = authenticate(v.exchange.head(), v.runtime);
    if (!found || found->may(scope)) return found;
    return Fault{.kind = FaultKind::Forbidden, .message = "This key may not use " + std::string(label) + "."};
}

wire::Task<void> turn_away(const Visit& v, Fault fault, std::string_view label)
{
    co_await reply_error(v.exchange, fault, v.request_id);
    v.context.requests(label, fault.client_status(), false).add();
}

wire::Task<void> nothing_here(const Visit& v)
{
    const Fault fault{.kind = FaultKind::NotFound, .message = "There is nothing at " + std::string(v.exchange.head().path) + "."};
    co_await reply_error(v.exchange, fault, v.request_id);
}

wire::Task<void> infer_gemini(const Visit& v, const Caller& caller, std::string_view rest, std::string_view label)
{
    const auto way = gemini_way(rest, v.exchange.head().query);
    if (way.method == GeminiWay::Method::None) {
        co_await nothing_here(v);
        v.context.requests(label, v.exchange.status(), false).add();
        co_return;
    }
    const Door door{.dialect = way.dialect,
                    .op = way.method == GeminiWay::Method::Count ? core::Op::CountTokens : core::Op::Chat,
                    .model = way.model,
                    .stream = way.method == GeminiWay::Method::Stream,
                    .label = label};
    co_await answer_chat(v.exchange, v.context, v.runtime, caller, v.request_id, door);
}

wire::Task<void> answer(const Visit& v, const Route& route, std::string_view rest)
{
    auto caller = admit(v, route.scope, route.label);
    if (!caller) {
        co_await turn_away(v, std::move(caller).fault(), route.label);
        co_return;
    }
    switch (route.answers) {
    case Answers::Gemini: co_await infer_gemini(v, *caller, rest, route.label); co_return;
    case Answers::Models: co_await list_models(v.exchange, v.runtime, v.request_id); break;
    case Answers::Model: co_await show_model(v.exchange, v.runtime, rest, v.request_id); break;
    case Answers::Health: co_await show_health(v.exchange, v.context); break;
    case Answers::Live: co_await show_live(v.exchange); break;
    case Answers::Ready: co_await show_ready(v.exchange, v.context); break;
    case Answers::Root: co_await show_root(v.exchange, v.context); break;
    case Answers::NotYet: {
        const Fault fault{.kind = FaultKind::NotFound, .message = "The Assistants API was retired by its inventor; use /v1/chat/completions.", .status = 501, .code = "not_implemented"};
        co_await reply_error(v.exchange, fault, v.request_id);
        break;
    }
    }
    v.context.requests(route.label, v.exchange.status(), false).add();
}

} // namespace

wire::Task<void> serve(wire::Exchange& exchange, LoopContext& context)
{
    const auto runtime = context.runtime; // this request's generation, to its end
    const auto& head = exchange.head();
    const auto given = head.headers.get("x-request-id");
    const Visit visit{exchange, context, *runtime, core::is_request_id(given) ? std::string(given) : core::uuid_v7(context.services->clock->unix_us())};

    const auto inference = inference_path(head.path);
    if (inference && head.method == Method::Post) {
        auto caller = admit(visit, core::Scope::Chat, inference->label);
        if (!caller) {
            co_await turn_away(visit, std::move(caller).fault(), inference->label);
            co_return;
        }
        const Door door{.dialect = inference->dialect, .op = inference->op, .provider = inference->provider, .label = inference->label};
        co_await answer_chat(exchange, context, *runtime, *caller, visit.request_id, door);
        co_return;
    }
    std::string_view rest;
    if (const Route* route = route_of(head.path, head.method, rest)) {
        co_await answer(visit, *route, rest);
        co_return;
    }
    std::string methods = inference ? "POST" : methods_of(head.path);
    if (methods.empty()) {
        const bool answered = co_await relay_control(exchange, context, *runtime, visit.request_id);
        if (answered) co_return;
        methods = core::control_methods(head.path);
    }
    if (methods.empty()) {
        co_await nothing_here(visit);
        context.requests("other", 404, false).add();
        co_return;
    }
    const Fault fault{.kind = FaultKind::MethodNotAllowed, .message = "This path answers " + methods + " only."};
    co_await reply_error(exchange, fault, visit.request_id, methods);
    context.requests("other", 405, false).add();
}

} // namespace front
