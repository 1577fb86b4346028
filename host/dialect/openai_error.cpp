// From what a provider says about a failure to a Fault, and from a Fault to what our client reads.
#include "dialect/openai_chunk.h"

#include "core/scrub.h"
#include "core/text.h"
#include "dialect/error_body.h"
#include "dialect/field_reader.h"

#include <algorithm>
#include <initializer_list>

namespace dialect {

namespace {

using core::Fault;
using core::FaultKind;

constexpr std::size_t most_shown = 2048;

bool any_of(std::string_view text, std::initializer_list<std::string_view> words)
{
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return text.find(word) != text.npos; });
}

/// Valid UTF-8, no control characters, no keys, not too long.
std::string clean(std::string_view text)
{
    std::string valid;
    if (!core::is_utf8(text)) {
        for (std::size_t at = 0; at < text.size();) { // longest valid pieces, U+FFFD for a byte between them
            std::size_t n = std::min<std::size_t>(4, text.size() - at);
            while (n > 1 && !(core::is_utf8(text.substr(at, n)))) --n;
            const auto piece = text.substr(at, n);
            valid += core::is_utf8(piece) ? piece : std::string_view("\xef\xbf\xbd");
            at += n;
        }
        text = valid;
    }
    return shown(core::scrub(text), most_shown - 3);
}

bool says_quota(const ErrorSeen& seen, std::string_view text)
{
    return any_of(text,
                  {"insufficient_quota", "billing_hard_limit", "billing_not_active", "enforced_spend_limit",
                   "insufficient_balance", "insufficient balance", "credit balance is too low", "insufficient credits",
                   "insufficient_credits", "account is not active", "exceeded your monthly"}) ||
           (seen.state.empty() && seen.retry_after_us < 0 && any_of(text, {"exceeded your current quota"}));
}

bool says_too_long(std::string_view text)
{
    return any_of(text, {"context_length_exceeded",
                         "maximum context length",
                         "context length of only",
                         "exceeds the context window",
                         "exceed the context window",
                         "exceeds context window",
                         "exceed context limit",
                         "exceeds the available context size",
                         "exceed_context_size",
                         "too_many_prompt_tokens",
                         "prompt is too long",
                         "prompt too long",
                         "input is too long",
                         "input too long",
                         "input tokens exceeded",
                         "input token count",
                         "exceeds maximum length",
                         "total length of all messages is too long",
                         "reduce the length of the messages",
                         "reduce the length of your prompt",
                         "reduce your prompt",
                         "too many tokens",
                         "`max_new_tokens` must be <=",
                         "exceeds the maximum number of tokens allowed",
                         "model_max_prompt_tokens_exceeded",
                         "larger than the maximum context",
                         "greater than the context length",
                         "string_above_max_length_context"}) ||
           (any_of(text, {"request too large"}) && any_of(text, {"token"}));
}

bool says_policy(std::string_view text)
{
    return any_of(text, {"content_filter", "content_policy", "content policy", "content management policy",
                         "responsibleaipolicyviolation", "usage policies", "usage policy", "safety system",
                         "moderation", "data_inspection_failed", "content exists risk", "sensitive_words",
                         "prohibited_content", "was flagged"});
}

bool says_auth(std::string_view text)
{
    return any_of(text, {"invalid_api_key", "api_key_invalid", "incorrect api key", "invalid api key",
                         "api key not valid", "invalid x-api-key", "api key expired", "authentication_error",
                         "unauthenticated", "security token included in the request is invalid"});
}

bool says_no_model(int status, std::string_view text, std::string_view message)
{
    if (any_of(text, {"model_not_found", "deploymentnotfound", "model_not_available", "model_decommissioned",
                      "model_not_exist", "model identifier is invalid", "not a valid model", "invalid model",
                      "unknown model", "model not exist", "model not found", "no such model"}))
        return true;
    const bool names_model = message.find("model") != message.npos;
    if (names_model && status != 404 && message.starts_with("the model ") &&
        any_of(message, {"does not exist", "deprecated", "decommissioned"}))
        return true;
    if (message.starts_with("model ") &&
        any_of(message, {" is not supported", " not found", " was removed", " does not exist"}))
        return true;
    return status == 404 && (names_model || any_of(message, {"deployment"}));
}

/// What a status would have been, of an error inside of a 200.
int status_of(const ErrorSeen& seen, std::string_view text)
{
    if (seen.status) return seen.status;
    if (any_of(text, {"overloaded"})) return 529;
    if (any_of(text, {"rate_limit", "rate limit", "resource_exhausted", "too_many_requests", "too many requests",
                      "ratelimit"}))
        return 429;
    if (any_of(text, {"authentication", "permission", "unauthenticated"})) return 401;
    if (any_of(text, {"timeout", "deadline_exceeded"})) return 504;
    if (any_of(text, {"invalid_request", "invalid_argument", "bad_request", "badrequest", "validation_error"}))
        return 400;
    if (any_of(text, {"not_found"})) return 404;
    return any_of(text, {"unavailable"}) ? 503 : 500;
}

FaultKind kind_of(int status, const ErrorSeen& seen, std::string_view text, std::string_view message)
{
    if (status == 402 || (status < 500 && says_quota(seen, text))) return FaultKind::Quota;
    if (says_too_long(text)) return FaultKind::TooLong;
    if (status == 451 || (status < 500 && status != 429 && status != 401 && says_policy(text)))
        return FaultKind::ContentPolicy;
    if (status < 500 && status != 429 && says_no_model(status, text, message)) return FaultKind::NoModel;
    if (status == 401 || status == 403 || status == 407 || (status == 400 && says_auth(text)))
        return FaultKind::UpstreamAuth;
    if (text.find("tool_use_failed") != text.npos)
        return FaultKind::Transient; // the model wrote a bad call: its fault, not the client's
    if (status == 408 || status == 409 || status == 425) return FaultKind::Transient;
    if (status == 429) return FaultKind::RateLimited;
    if (status >= 500) return FaultKind::Overloaded;
    if (status == 404)
        return seen.param.empty() && seen.code.empty() ? FaultKind::BadReply
                                                       : FaultKind::Refused; // no such path: our address is wrong
    if (status == 405 || status < 400) return FaultKind::BadReply;
    return FaultKind::Refused;
}

Fault fault_of(int sent, const ErrorSeen& seen)
{
    const auto message = core::lower(seen.message);
    const auto text = message + ' ' + core::lower(seen.type + ' ' + seen.code + ' ' + seen.state + ' ' + seen.more);
    const int status = sent >= 300 ? sent : status_of(seen, text);
    Fault fault;
    fault.kind = kind_of(status, seen, text, message);
    fault.upstream_status = status;
    const bool waits = fault.kind == FaultKind::RateLimited || fault.kind == FaultKind::Quota ||
                       fault.kind == FaultKind::Overloaded || fault.kind == FaultKind::Transient;
    if (waits) fault.retry_after_us = seen.retry_after_us;
    if (fault.kind == FaultKind::UpstreamAuth) { // its text may hold pieces of our key
        fault.message = "The provider refused the credentials that are configured for it.";
        return fault;
    }
    fault.message = clean(seen.message);
    if (fault.message.empty()) fault.message = "The provider answered with status " + std::to_string(status) + '.';
    if (fault.kind == FaultKind::Transient && status < 500 && status != 400) fault.status = status; // 408, 409, 425: passed through
    if (fault.kind == FaultKind::Quota && status == 402) fault.status = status;
    if (fault.kind == FaultKind::Overloaded && status != 503 && status != 529) // it failed, and does not say that it is busy
        fault.status = 502, fault.code = "upstream_error";
    if (fault.kind == FaultKind::BadReply)
        fault.message =
            "The provider's answer was not understood (status " + std::to_string(status) + "): " + fault.message;
    if (fault.kind != FaultKind::Refused && fault.kind != FaultKind::TooLong && fault.kind != FaultKind::ContentPolicy)
        return fault;
    fault.param = clean(seen.param);
    if (fault.kind == FaultKind::Refused) {
        fault.code = clean(seen.code);
        fault.status = status == 404 || status == 413 || status == 415 || status == 422 ? status : 400;
    }
    return fault;
}

} // namespace

core::Fault fault_of_error_body(int status, std::string_view body) { return fault_of(status, read_error(body)); }

core::Fault fault_of_stream_error(std::string_view json) { return fault_of(200, read_error(json)); }

} // namespace dialect
