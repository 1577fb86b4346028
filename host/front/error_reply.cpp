#include "front/error_reply.h"

#include "front/inference_paths.h"

#include <algorithm>

namespace front {

const dialect::Dialect& dialect_of(std::string_view path)
{
    const auto method = path.rfind(':');
    const bool gemini = path.starts_with("/v1beta/") || (path.starts_with("/v1/models/") && method != path.npos);
    if (gemini) return dialect::gemini_events();
    if (const auto inference = inference_path(path)) return *inference->dialect;
    return path.starts_with("/v1/messages/") ? dialect::anthropic_messages() : dialect::openai_chat(); // Anthropic's that are not served
}

std::string error_body(const core::Fault& fault, std::string_view path) { return dialect_of(path).error(fault, {}).body; }

wire::Task<void> reply_error(wire::Exchange& exchange, const core::Fault& fault, std::string_view request_id, std::string_view allow)
{
    const auto error = dialect_of(exchange.head().path).error(fault, {});
    wire::Headers headers{{"content-type", "application/json"}};
    if (!request_id.empty()) headers.push_back({"x-request-id", request_id});
    if (!allow.empty()) headers.push_back({"allow", allow});
    const int status = error.status;
    if (status == 401) headers.push_back({"www-authenticate", "Bearer"});
    std::string seconds;
    if (fault.retry_after_us >= 0 || status == 429 || status == 503) {
        seconds = std::to_string(std::max<std::int64_t>(1, (fault.retry_after_us + 999'999) / 1'000'000));
        headers.push_back({"retry-after", seconds});
    }
    co_await exchange.respond(status, headers, error.body);
}

} // namespace front
