// The table. Nothing else in the host decides what may be retried.
#include "core/fault.h"

namespace core {

namespace {

using K = FaultKind;
constexpr FaultRule table[] = {
    // kind             status type                     code                        here next   cool           counts name
    {K::None,             200, "",                      "",                          0, false, Cool::Nothing, false, "none"},
    {K::BadRequest,       400, "invalid_request_error", "invalid_request",           0, false, Cool::Nothing, false, "bad_request"},
    {K::Unauthorized,     401, "authentication_error",  "invalid_api_key",           0, false, Cool::Nothing, false, "unauthorized"},
    {K::Forbidden,        403, "permission_error",      "forbidden",                 0, false, Cool::Nothing, false, "forbidden"},
    {K::NotFound,         404, "invalid_request_error", "not_found",                 0, false, Cool::Nothing, false, "not_found"},
    {K::MethodNotAllowed, 405, "invalid_request_error", "method_not_allowed",        0, false, Cool::Nothing, false, "method_not_allowed"},
    {K::TooLarge,         413, "invalid_request_error", "request_too_large",         0, false, Cool::Nothing, false, "too_large"},
    {K::UnsupportedMedia, 415, "invalid_request_error", "unsupported_media_type",    0, false, Cool::Nothing, false, "unsupported_media"},
    {K::Throttled,        429, "rate_limit_error",      "rate_limit_exceeded",       0, false, Cool::Nothing, false, "throttled"},
    {K::NoCapableModel,   422, "invalid_request_error", "no_capable_model",          0, true,  Cool::Nothing, false, "no_capable_model"},
    {K::Cancelled,        499, "invalid_request_error", "client_closed_request",     0, false, Cool::Nothing, false, "cancelled"},
    {K::Deadline,         504, "timeout_error",         "deadline_exceeded",         0, false, Cool::Nothing, false, "deadline"},
    {K::Unreachable,      502, "upstream_error",        "upstream_unreachable",      1, true,  Cool::Target,  true,  "unreachable"},
    {K::Stale,            502, "upstream_error",        "upstream_unreachable",      1, true,  Cool::Nothing, false, "stale"},
    {K::Broken,           502, "upstream_error",        "upstream_connection_lost",  1, true,  Cool::Target,  true,  "broken"},
    {K::Transient,        503, "upstream_error",        "upstream_transient",        1, true,  Cool::Nothing, false, "transient"},
    {K::RateLimited,      429, "rate_limit_error",      "rate_limit_exceeded",       0, true,  Cool::Account, false, "rate_limited"},
    {K::Quota,            429, "insufficient_quota",    "insufficient_quota",        0, true,  Cool::Account, false, "quota"},
    {K::Overloaded,       503, "upstream_error",        "upstream_overloaded",       1, true,  Cool::Target,  true,  "overloaded"},
    {K::UpstreamAuth,     503, "upstream_error",        "upstream_auth_error",       0, true,  Cool::Account, false, "upstream_auth"},
    {K::Refused,          400, "invalid_request_error", "invalid_request",           0, false, Cool::Nothing, false, "refused"},
    {K::TooLong,          400, "invalid_request_error", "context_length_exceeded",   0, true,  Cool::Nothing, false, "too_long"},
    {K::NoModel,          404, "invalid_request_error", "model_not_found",           0, true,  Cool::Model,   false, "no_model"},
    {K::ContentPolicy,    400, "invalid_request_error", "content_policy_violation",  0, false, Cool::Nothing, false, "content_policy"},
    {K::Lossy,            400, "invalid_request_error", "unsupported_parameter",     0, true,  Cool::Nothing, false, "lossy"},
    {K::BadReply,         502, "upstream_error",        "upstream_bad_reply",        1, true,  Cool::Target,  true,  "bad_reply"},
    {K::Truncated,        502, "upstream_error",        "upstream_truncated",        1, true,  Cool::Target,  true,  "truncated"},
    {K::Slow,             504, "upstream_error",        "upstream_timeout",          0, true,  Cool::Target,  true,  "slow"},
    {K::NoProvider,       503, "upstream_error",        "no_available_provider",     0, false, Cool::Nothing, false, "no_provider"},
    {K::Exhausted,        502, "upstream_error",        "fallback_exhausted",        0, false, Cool::Nothing, false, "exhausted"},
    {K::PluginFailed,     502, "upstream_error",        "plugin_failed",             0, true,  Cool::Nothing, false, "plugin_failed"},
    {K::Crowded,          503, "server_error",          "server_busy",               0, false, Cool::Nothing, false, "crowded"},
    {K::Draining,         503, "server_error",          "shutting_down",             0, false, Cool::Nothing, false, "draining"},
    {K::Internal,         500, "server_error",          "internal_error",            0, false, Cool::Nothing, false, "internal"},
};

constexpr bool in_order()
{
    std::size_t at = 0;
    for (const auto& row : table)
        if (static_cast<std::size_t>(row.kind) != at++) return false;
    return at == static_cast<std::size_t>(K::Internal) + 1;
}
static_assert(in_order(), "one row per kind, in the order of the enumeration");

} // namespace

Fault client_gone() { return {.kind = FaultKind::Cancelled, .message = "The client closed the request."}; }
Fault out_of_time() { return {.kind = FaultKind::Deadline, .message = "The request ran out of time."}; }

const FaultRule& rule_of(FaultKind kind) noexcept { return table[static_cast<std::size_t>(kind)]; }

} // namespace core
