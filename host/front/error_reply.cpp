#include "front/error_reply.h"

#include "dialect/dialect.h"

#include <algorithm>

namespace front {

std::string error_body(const core::Fault& fault, std::string_view)
{
    return dialect::openai_chat().error(fault, {}).body;
}

wire::Task<void> reply_error(wire::Exchange& exchange, const core::Fault& fault, std::string_view request_id, std::string_view allow)
{
    const std::string body = error_body(fault, exchange.head().path);
    wire::Headers headers{{"content-type", "application/json"}};
    if (!request_id.empty()) headers.push_back({"x-request-id", request_id});
    if (!allow.empty()) headers.push_back({"allow", allow});
    const int status = fault.client_status();
    if (status == 401) headers.push_back({"www-authenticate", "Bearer"});
    std::string seconds;
    if (fault.retry_after_us >= 0 || status == 429 || status == 503) {
        seconds = std::to_string(std::max<std::int64_t>(1, (fault.retry_after_us + 999'999) / 1'000'000));
        headers.push_back({"retry-after", seconds});
    }
    co_await exchange.respond(status, headers, body);
}

} // namespace front
