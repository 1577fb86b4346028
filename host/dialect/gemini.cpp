// The Gemini dialect: https://ai.google.dev/api/generate-content
#include "dialect/gemini_parts.h"
#include "dialect/hub_text.h"
#include "dialect/json_body.h"

#include "core/text.h"

namespace dialect {

namespace {

std::string_view state_of(int status) noexcept
{
    switch (status) {
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 429: return "RESOURCE_EXHAUSTED";
    case 503: return "UNAVAILABLE";
    case 504: return "DEADLINE_EXCEEDED";
    default: return status < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
    }
}

class Gemini final : public Dialect {
public:
    explicit Gemini(GeminiStream form) : form_(form) {}

    [[nodiscard]] int number() const override { return 4; }
    [[nodiscard]] std::string_view name() const override { return "gemini"; }

    core::Result<ChatRequest> read(const Incoming& in, std::size_t max_depth) const override
    {
        if (auto status = check_object(in.body, max_depth); !status) return std::move(status).fault();
        const core::JsonTree tree(in.body);
        const auto root = tree.root(), inner = root["generateContentRequest"];
        if (auto status = needs_array(inner.object() ? inner : root, "contents"); !status) return std::move(status).fault();
        return read_hub(in.body, root, gemini_hub(root, in.path_model, in.path_stream, false), max_depth);
    }
    [[nodiscard]] HubForm hub(const Incoming& in, bool plain) const override
    {
        const core::JsonTree tree(in.body);
        return gemini_hub(tree.root(), in.path_model, in.path_stream, plain);
    }
    std::unique_ptr<AnswerWriter> writer(bool stream, bool) const override { return gemini_writer(stream, form_); }
    [[nodiscard]] std::string token_count(std::int64_t tokens) const override { return "{\"totalTokens\":" + std::to_string(tokens) + '}'; }
    [[nodiscard]] std::string_view answer_id_prefix() const override { return ""; }

    ErrorBody error(const core::Fault& fault, const std::vector<AttemptNote>& attempts) const override
    {
        return {fault.client_status(), "application/json", gemini_error(fault, attempts)};
    }
    std::string error_event(const core::Fault& fault, bool) const override
    {
        if (form_ == GeminiStream::Array) return ",\r\n" + gemini_error(fault, {}) + ']';
        return "data: " + gemini_error(fault, {}) + "\r\n\r\n";
    }
    [[nodiscard]] std::string_view stream_content_type() const override
    {
        return form_ == GeminiStream::Array ? "application/json; charset=utf-8" : "text/event-stream; charset=utf-8";
    }
    [[nodiscard]] std::string_view heartbeat() const override { return form_ == GeminiStream::Array ? " " : ": ping\n\n"; }

private:
    const GeminiStream form_;
};

} // namespace

std::string gemini_error(const core::Fault& fault, const std::vector<AttemptNote>& attempts)
{
    const auto& rule = core::rule_of(fault.kind);
    const auto status = fault.client_status();
    std::string out = "{\"error\":{\"code\":" + std::to_string(status) + ",\"message\":";
    out += core::quoted(fault.message.empty() ? "The request failed: " + std::string(rule.name) + '.' : fault.message);
    out += ",\"status\":" + core::quoted(state_of(status)) + ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":";
    out += core::quoted(fault.client_code()) + ",\"domain\":\"portolan\"}";
    if (fault.retry_after_us >= 0) {
        const auto seconds = (fault.retry_after_us + 999'999) / 1'000'000;
        out += R"(,{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":")" + std::to_string(seconds) + "s\"}";
    }
    return out += ']' + attempts_json(attempts) + "}}";
}

const Dialect& gemini_events()
{
    static const Gemini dialect(GeminiStream::Events);
    return dialect;
}

const Dialect& gemini_array()
{
    static const Gemini dialect(GeminiStream::Array);
    return dialect;
}

} // namespace dialect
