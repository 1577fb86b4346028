#include "front/models_handler.h"

#include "core/text.h"
#include "front/error_reply.h"

#include <algorithm>
#include <ctime>

namespace front {

namespace {

std::string openai(const ListedModel& m, std::int64_t created)
{
    return R"({"id":)" + core::quoted(m.id) + R"(,"object":"model","created":)" + std::to_string(created) + R"(,"owned_by":)" + core::quoted(m.owned_by) + '}';
}

std::string anthropic(const ListedModel& m, std::int64_t created)
{
    char when[32];
    std::tm utc{};
    const auto t = static_cast<std::time_t>(created);
    ::gmtime_r(&t, &utc);
    std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return R"({"type":"model","id":)" + core::quoted(m.id) + R"(,"display_name":)" + core::quoted(m.id) + R"(,"created_at":")" + when + R"("})";
}

std::string gemini(const ListedModel& m)
{
    return R"({"name":)" + core::quoted("models/" + m.id) + R"(,"displayName":)" + core::quoted(m.id) +
           R"(,"version":"","supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]})";
}

/// A model in the language of the path, or of who sends anthropic-version.
std::string described(const ListedModel& m, std::int64_t created, const wire::RequestHead& head)
{
    if (head.path.starts_with("/v1beta/")) return gemini(m);
    return head.headers.has("anthropic-version") ? anthropic(m, created) : openai(m, created);
}

wire::Headers headers_for(std::string_view request_id)
{
    return {{"content-type", "application/json"}, {"x-request-id", request_id}};
}

} // namespace

std::string decoded(std::string_view s)
{
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
    std::string out;
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (s[i] == '%' && i + 2 < s.size() && digit(s[i + 1]) >= 0 && digit(s[i + 2]) >= 0) {
            out += static_cast<char>(digit(s[i + 1]) * 16 + digit(s[i + 2]));
            i += 2;
        } else
            out += s[i];
    }
    return out;
}

wire::Task<void> list_models(wire::Exchange& exchange, const Runtime& runtime, std::string_view request_id)
{
    const bool as_gemini = exchange.head().path.starts_with("/v1beta/");
    const bool as_anthropic = !as_gemini && exchange.head().headers.has("anthropic-version");
    std::string body = as_gemini ? R"({"models":[)" : as_anthropic ? R"({"data":[)" : R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < runtime.models.size(); ++i) {
        if (i) body += ',';
        body += described(runtime.models[i], runtime.created_unix, exchange.head());
    }
    body += ']';
    if (as_anthropic) {
        const auto& all = runtime.models;
        body += R"(,"has_more":false,"first_id":)" + (all.empty() ? "null" : core::quoted(all.front().id)) + R"(,"last_id":)" +
                (all.empty() ? "null" : core::quoted(all.back().id));
    }
    body += '}';
    const auto headers = headers_for(request_id);
    co_await exchange.respond(200, headers, body);
}

wire::Task<void> show_model(wire::Exchange& exchange, const Runtime& runtime, std::string_view id, std::string_view request_id)
{
    const std::string name = decoded(id);
    auto found = std::find_if(runtime.models.begin(), runtime.models.end(), [&](const auto& m) { return m.id == name; });
    ListedModel other;
    if (found == runtime.models.end()) { // a spelling that is not listed: provider/id, an alias
        const auto resolved = runtime.table.resolve(name);
        if (!resolved.route && (resolved.targets.empty() || resolved.targets.front()->open)) {
            const core::Fault fault{.kind = core::FaultKind::NotFound, .message = "The model `" + name + "` does not exist.", .code = "model_not_found", .param = "model"};
            co_await reply_error(exchange, fault, request_id);
            co_return;
        }
        other = {name, resolved.route ? "portolan" : resolved.targets.front()->provider};
    }
    const auto& model = found == runtime.models.end() ? other : *found;
    const std::string body = described(model, runtime.created_unix, exchange.head());
    const auto headers = headers_for(request_id);
    co_await exchange.respond(200, headers, body);
}

} // namespace front
