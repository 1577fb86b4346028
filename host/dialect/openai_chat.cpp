// OpenAI Chat Completions as a client's language.
#include "dialect/dialect.h"

#include "core/text.h"
#include "dialect/chat_reader.h"
#include "dialect/message_reader.h"
#include "dialect/openai_chunk.h"
#include "dialect/openai_parts.h"

namespace dialect {

std::string openai_error_json(const core::Fault& fault, const std::vector<AttemptNote>& attempts)
{
    const auto& rule = core::rule_of(fault.kind);
    const auto code = fault.client_code();
    std::string out = "{\"error\":{\"message\":";
    out += core::quoted(fault.message.empty() ? "The request failed: " + std::string(rule.name) + '.' : fault.message);
    out += ",\"type\":" + core::quoted(rule.type);
    out += ",\"param\":" + (fault.param.empty() ? "null" : core::quoted(fault.param));
    out += ",\"code\":" + (code.empty() ? "null" : core::quoted(code));
    out += attempts_json(attempts);
    return out += "}}";
}

HubForm Dialect::hub(const Incoming& in, bool) const { return {std::string(in.body), {}, {}, {}}; }

bool Dialect::answers(std::string_view, const ChunkFacts& facts) const { return facts.content; }

namespace {

class OpenAiChat final : public Dialect {
public:
    core::Result<ChatRequest> read(const Incoming& in, std::size_t max_depth) const override
    {
        return read_chat(in.body, max_depth);
    }
    std::unique_ptr<AnswerWriter> writer(bool stream, bool usage_wanted) const override
    {
        return stream ? stream_writer(usage_wanted) : whole_writer();
    }

    [[nodiscard]] std::string_view answer_id_prefix() const override { return "chatcmpl-"; }

    ErrorBody error(const core::Fault& fault, const std::vector<AttemptNote>& attempts) const override
    {
        return {fault.client_status(), "application/json", openai_error_json(fault, attempts)};
    }
    std::string error_event(const core::Fault& fault, bool done_after_error) const override
    {
        return "data: " + openai_error_json(fault, {}) + "\n\n" + (done_after_error ? "data: [DONE]\n\n" : "");
    }
    [[nodiscard]] std::string_view stream_content_type() const override { return "text/event-stream; charset=utf-8"; }
    [[nodiscard]] std::string_view heartbeat() const override { return ": ping\n\n"; }
};

} // namespace

std::vector<ChatRequest::Turn> Dialect::turns(std::string_view openai) { return MessageReader::turns(openai); }

std::string attempts_json(const std::vector<AttemptNote>& attempts)
{
    std::string out;
    if (attempts.empty()) return out;
    out += ",\"attempts\":[";
    for (const auto& attempt : attempts) {
        if (&attempt != attempts.data()) out += ',';
        out += "{\"target\":" + core::quoted(attempt.target) + ",\"fault\":" + core::quoted(attempt.fault) +
               ",\"status\":" + (attempt.status ? std::to_string(attempt.status) : "null") +
               ",\"took_ms\":" + std::to_string(attempt.took_ms) + '}';
    }
    return out += ']';
}

const Dialect& openai_chat()
{
    static const OpenAiChat dialect;
    return dialect;
}

} // namespace dialect
