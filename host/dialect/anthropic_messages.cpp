// The Anthropic Messages dialect: https://docs.anthropic.com/en/api/messages
#include "dialect/anthropic_parts.h"
#include "dialect/hub_text.h"
#include "dialect/json_body.h"

#include "core/text.h"

namespace dialect {

namespace {

using core::FaultKind;

std::string_view error_type(int status) noexcept
{
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    case 529: return "overloaded_error";
    default: return status < 500 ? "invalid_request_error" : "api_error";
    }
}

class Messages final : public Dialect {
public:
    [[nodiscard]] int number() const override { return 3; }
    [[nodiscard]] std::string_view name() const override { return "anthropic"; }

    core::Result<ChatRequest> read(const Incoming& in, std::size_t max_depth) const override
    {
        if (auto status = check_object(in.body, max_depth); !status) return std::move(status).fault();
        const core::JsonTree tree(in.body);
        if (auto status = needs_array(tree.root(), "messages"); !status) return std::move(status).fault();
        return read_hub(in.body, tree.root(), anthropic_hub(tree.root(), false), max_depth);
    }
    [[nodiscard]] HubForm hub(const Incoming& in, bool plain) const override
    {
        const core::JsonTree tree(in.body);
        return anthropic_hub(tree.root(), plain);
    }
    std::unique_ptr<AnswerWriter> writer(bool stream, bool) const override { return anthropic_writer(stream); }
    [[nodiscard]] std::string token_count(std::int64_t tokens) const override { return "{\"input_tokens\":" + std::to_string(tokens) + '}'; }
    [[nodiscard]] std::string_view answer_id_prefix() const override { return "msg_"; }

    ErrorBody error(const core::Fault& fault, const std::vector<AttemptNote>& attempts) const override
    {
        return {anthropic_status(fault), "application/json", anthropic_error(fault, attempts)};
    }
    std::string error_event(const core::Fault& fault, bool) const override
    {
        return "event: error\ndata: " + anthropic_error(fault, {}) + "\n\n";
    }
    [[nodiscard]] std::string_view stream_content_type() const override { return "text/event-stream; charset=utf-8"; }
    [[nodiscard]] std::string_view heartbeat() const override { return "event: ping\ndata: {\"type\":\"ping\"}\n\n"; }
};

} // namespace

int anthropic_status(const core::Fault& fault) noexcept
{
    return fault.kind == FaultKind::Overloaded && !fault.status ? 529 : fault.client_status(); // what its clients wait for
}

std::string anthropic_error(const core::Fault& fault, const std::vector<AttemptNote>& attempts)
{
    const auto& rule = core::rule_of(fault.kind);
    std::string out = R"({"type":"error","error":{"type":)" + core::quoted(error_type(anthropic_status(fault))) + ",\"message\":";
    out += core::quoted(fault.message.empty() ? "The request failed: " + std::string(rule.name) + '.' : fault.message);
    if (const auto code = fault.client_code(); !code.empty()) out += ",\"code\":" + core::quoted(code);
    return out += attempts_json(attempts) + "},\"request_id\":null}";
}

const Dialect& anthropic_messages()
{
    static const Messages dialect;
    return dialect;
}

} // namespace dialect
