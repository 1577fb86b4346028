#include "front/routes.h"

#include "core/ids.h"
#include "core/text.h"
#include "front/authenticate.h"
#include "front/control_relay.h"
#include "front/error_reply.h"
#include "front/inference_handler.h"
#include "front/models_handler.h"
#include "front/status_handler.h"

namespace front {

namespace {

using core::Fault;
using core::FaultKind;
using wire::Method;

enum class Answers : std::uint8_t { Chat, Gemini, Models, Model, Health, Live, Ready, Root, NotYet };

struct Route {
    std::string_view path;   ///< "{*}" at the end or in the middle: the rest, or up to the next literal
    bool get, post;          ///< methods; HEAD goes with GET
    core::Scope scope;       ///< None: open
    Answers answers;
    std::string_view label;  ///< in metrics
    const dialect::Dialect& (*speaks)() = nullptr; ///< of inference
    core::Op op = core::Op::Chat;
};

// Every path has an explicit scope; what is not here and not in core/control_routes.h does not exist.
constexpr Route routes[] = {
    {"/v1/chat/completions", false, true, core::Scope::Chat, Answers::Chat, "/v1/chat/completions", dialect::openai_chat},
    {"/v1/providers/{*}/chat/completions", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/chat/completions", dialect::openai_chat},
    {"/v1/responses", false, true, core::Scope::Chat, Answers::Chat, "/v1/responses", dialect::openai_responses},
    {"/v1/providers/{*}/responses", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/responses", dialect::openai_responses},
    {"/v1/responses/input_tokens", false, true, core::Scope::Chat, Answers::Chat, "/v1/responses/input_tokens", dialect::openai_responses, core::Op::CountTokens},
    {"/v1/messages/count_tokens", false, true, core::Scope::Chat, Answers::Chat, "/v1/messages/count_tokens", dialect::anthropic_messages, core::Op::CountTokens},
    {"/v1/messages", false, true, core::Scope::Chat, Answers::Chat, "/v1/messages", dialect::anthropic_messages},
    {"/v1/providers/{*}/messages", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/messages", dialect::anthropic_messages},
    {"/v1/completions", false, true, core::Scope::Chat, Answers::Chat, "/v1/completions", dialect::openai_completions, core::Op::Completions},
    {"/v1/providers/{*}/completions", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/completions", dialect::openai_completions, core::Op::Completions},
    {"/v1/embeddings", false, true, core::Scope::Chat, Answers::Chat, "/v1/embeddings", dialect::openai_embeddings, core::Op::Embeddings},
    {"/v1/providers/{*}/embeddings", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/embeddings", dialect::openai_embeddings, core::Op::Embeddings},
    {"/v1/moderations", false, true, core::Scope::Chat, Answers::Chat, "/v1/moderations", dialect::openai_moderations, core::Op::Moderations},
    {"/v1/providers/{*}/moderations", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/moderations", dialect::openai_moderations, core::Op::Moderations},
    {"/v1/rerank", false, true, core::Scope::Chat, Answers::Chat, "/v1/rerank", dialect::openai_rerank, core::Op::Rerank},
    {"/v1/providers/{*}/rerank", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/rerank", dialect::openai_rerank, core::Op::Rerank},
    {"/v1/images/generations", false, true, core::Scope::Chat, Answers::Chat, "/v1/images/generations", dialect::openai_images, core::Op::ImageGenerate},
    {"/v1/providers/{*}/images/generations", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/images/generations", dialect::openai_images, core::Op::ImageGenerate},
    {"/v1/images/edits", false, true, core::Scope::Chat, Answers::Chat, "/v1/images/edits", dialect::openai_image_edits, core::Op::ImageEdit},
    {"/v1/providers/{*}/images/edits", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/images/edits", dialect::openai_image_edits, core::Op::ImageEdit},
    {"/v1/audio/transcriptions", false, true, core::Scope::Chat, Answers::Chat, "/v1/audio/transcriptions", dialect::openai_transcriptions, core::Op::Transcribe},
    {"/v1/providers/{*}/audio/transcriptions", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/audio/transcriptions", dialect::openai_transcriptions, core::Op::Transcribe},
    {"/v1/audio/translations", false, true, core::Scope::Chat, Answers::Chat, "/v1/audio/translations", dialect::openai_translations, core::Op::Transcribe},
    {"/v1/providers/{*}/audio/translations", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/audio/translations", dialect::openai_translations, core::Op::Transcribe},
    {"/v1/audio/speech", false, true, core::Scope::Chat, Answers::Chat, "/v1/audio/speech", dialect::openai_speech, core::Op::Speech},
    {"/v1/providers/{*}/audio/speech", false, true, core::Scope::Chat, Answers::Chat, "/v1/providers/{p}/audio/speech", dialect::openai_speech, core::Op::Speech},
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
    const auto head = pattern.substr(0, star), end = pattern.substr(star + 3);
    if (path.size() <= head.size() + end.size() || !path.starts_with(head) || !path.ends_with(end)) return false;
    rest = path.substr(head.size(), path.size() - head.size() - end.size());
    return end.empty() || rest.find('/') == rest.npos;
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

} // namespace

wire::Task<void> serve(wire::Exchange& exchange, LoopContext& context)
{
    const auto runtime = context.runtime; // this request's generation, to its end
    const auto& head = exchange.head();
    const auto given = head.headers.get("x-request-id");
    const std::string request_id = core::is_request_id(given) ? std::string(given) : core::uuid_v7(context.services->clock->unix_us());

    bool path_known = false;
    for (const auto& r : routes) {
        std::string_view rest;
        if (!match(r.path, head.path, rest)) continue;
        path_known = true;
        if (!allows(r, head.method)) continue;
        Caller caller;
        if (r.scope != core::Scope::None) {
            auto found = authenticate(head, *runtime);
            if (!found || !found->may(r.scope)) {
                const Fault fault = found ? Fault{.kind = FaultKind::Forbidden, .message = "This key may not use " + std::string(r.path) + "."} : found.fault();
                co_await reply_error(exchange, fault, request_id);
                context.requests(r.label, fault.client_status(), false).add();
                co_return;
            }
            caller = std::move(found).value();
        }
        switch (r.answers) {
        case Answers::Chat: {
            const Door door{.dialect = &r.speaks(), .op = r.op, .provider = rest, .label = r.label};
            co_await answer_chat(exchange, context, *runtime, caller, request_id, door);
            co_return;
        }
        case Answers::Gemini: {
            const auto way = gemini_way(rest, head.query);
            if (way.method == GeminiWay::Method::None) {
                const Fault fault{.kind = FaultKind::NotFound, .message = "There is nothing at " + std::string(head.path) + "."};
                co_await reply_error(exchange, fault, request_id);
                break;
            }
            const Door door{.dialect = way.dialect,
                            .op = way.method == GeminiWay::Method::Count ? core::Op::CountTokens : core::Op::Chat,
                            .model = way.model,
                            .stream = way.method == GeminiWay::Method::Stream,
                            .label = r.label};
            co_await answer_chat(exchange, context, *runtime, caller, request_id, door);
            co_return;
        }
        case Answers::Models: co_await list_models(exchange, *runtime, request_id); break;
        case Answers::Model: co_await show_model(exchange, *runtime, rest, request_id); break;
        case Answers::Health: co_await show_health(exchange, context); break;
        case Answers::Live: co_await show_live(exchange); break;
        case Answers::Ready: co_await show_ready(exchange, context); break;
        case Answers::Root: co_await show_root(exchange, context); break;
        case Answers::NotYet: {
            const Fault fault{.kind = FaultKind::NotFound, .message = "The Assistants API was retired by its inventor; use /v1/chat/completions.", .status = 501, .code = "not_implemented"};
            co_await reply_error(exchange, fault, request_id);
            break;
        }
        }
        context.requests(r.label, exchange.status(), false).add();
        co_return;
    }
    if (!path_known) {
        const bool answered = co_await relay_control(exchange, context, *runtime, request_id);
        if (answered) co_return;
    }
    const std::string allow = path_known ? "" : core::control_methods(head.path);
    if (path_known || !allow.empty()) {
        std::string methods = allow;
        for (const auto& r : routes) {
            std::string_view rest;
            if (!match(r.path, head.path, rest)) continue;
            for (const std::string_view one : {r.get ? "GET, HEAD" : "", r.post ? "POST" : ""})
                if (!one.empty() && methods.find(one) == methods.npos) (methods += methods.empty() ? "" : ", ") += one;
        }
        const Fault fault{.kind = FaultKind::MethodNotAllowed, .message = "This path answers " + methods + " only."};
        co_await reply_error(exchange, fault, request_id, methods);
        context.requests("other", 405, false).add();
        co_return;
    }
    const Fault fault{.kind = FaultKind::NotFound, .message = "There is nothing at " + std::string(head.path) + "."};
    co_await reply_error(exchange, fault, request_id);
    context.requests("other", 404, false).add();
}

} // namespace front
