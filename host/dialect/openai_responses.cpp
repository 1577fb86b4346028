// The OpenAI Responses dialect, without state: https://platform.openai.com/docs/api-reference/responses
#include "dialect/hub_text.h"
#include "dialect/json_body.h"
#include "dialect/responses_parts.h"

#include "core/text.h"

namespace dialect {

namespace {

class Responses final : public Dialect {
public:
    [[nodiscard]] int number() const override { return 2; }
    [[nodiscard]] std::string_view name() const override { return "responses"; }

    core::Result<ChatRequest> read(const Incoming& in, std::size_t max_depth) const override
    {
        if (auto status = check_object(in.body, max_depth); !status) return std::move(status).fault();
        const core::JsonTree tree(in.body);
        if (!tree.root()["input"].string())
            if (auto status = needs_array(tree.root(), "input"); !status) return std::move(status).fault();
        return read_hub(in.body, tree.root(), responses_hub(tree.root(), false), max_depth);
    }
    [[nodiscard]] HubForm hub(const Incoming& in, bool plain) const override
    {
        const core::JsonTree tree(in.body);
        return responses_hub(tree.root(), plain);
    }
    std::unique_ptr<AnswerWriter> writer(bool stream, bool) const override { return responses_writer(stream); }
    [[nodiscard]] std::string token_count(std::int64_t tokens) const override
    {
        return R"({"object":"response.input_tokens","input_tokens":)" + std::to_string(tokens) + '}';
    }
    [[nodiscard]] std::string_view answer_id_prefix() const override { return "resp_"; }

    ErrorBody error(const core::Fault& fault, const std::vector<AttemptNote>& attempts) const override { return openai_chat().error(fault, attempts); }
    /// For a stream whose own numbers we do not know, so without a response.failed behind it.
    std::string error_event(const core::Fault& fault, bool) const override
    {
        const std::string said = "\"code\":" + core::quoted(fault.client_code()) + ",\"message\":" + core::quoted(fault.message) + ",\"param\":null";
        return "event: error\ndata: {\"type\":\"error\"," + said + ",\"error\":{\"type\":" + core::quoted(core::rule_of(fault.kind).type) + ',' + said +
               "},\"sequence_number\":0}\n\n";
    }
    [[nodiscard]] std::string_view stream_content_type() const override { return "text/event-stream; charset=utf-8"; }
    [[nodiscard]] std::string_view heartbeat() const override { return ": ping\n\n"; }
};

} // namespace

const Dialect& openai_responses()
{
    static const Responses dialect;
    return dialect;
}

} // namespace dialect
