// Writes an answer as a Response, whole or as its events.
#include "dialect/responses_parts.h"

#include "core/json_tree.h"
#include "core/text.h"
#include "dialect/block_writer.h"
#include "dialect/hub_text.h"

#include <algorithm>

namespace dialect {

namespace {

class ResponseWriter final : public BlockWriter {
public:
    explicit ResponseWriter(bool stream) : BlockWriter(true), stream_(stream) {}

    void begin(const AnswerMeta& meta, std::string& out) override
    {
        BlockWriter::begin(meta, out);
        if (!stream_) return;
        with_response("response.created", "in_progress", out);
        with_response("response.in_progress", "in_progress", out);
    }

    bool fail(const core::Fault& fault, std::string& out) override
    {
        fault_code_ = fault.client_code(), fault_message_ = fault.message;
        auto& json = event("error"); // flat as documented, and nested as OpenAI sends it and its library reads it
        json.key("code").text(fault_code_).key("message").text(fault_message_).key("param").null();
        json.key("error").open('{').key("type").inner(core::rule_of(fault.kind).type).key("code").text(fault_code_);
        json.key("message").text(fault_message_).key("param").null().close('}');
        send(out);
        with_response("response.failed", "failed", out);
        return true;
    }

private:
    // -- events

    core::JsonText& event(std::string_view type)
    {
        type_ = type;
        data_.clear();
        return text_.open('{').key("type").inner(type).key("sequence_number").number(sequence_++);
    }
    /// The event of an item; position and id are said.
    core::JsonText& item_event(std::string_view type, const Block& block)
    {
        return event(type).key("item_id").text(item_id(block)).key("output_index").number(static_cast<std::int64_t>(block.number));
    }
    void send(std::string& out)
    {
        text_.close('}');
        ((((out += "event: ") += type_) += "\ndata: ") += data_) += "\n\n";
    }

    void with_response(std::string_view type, std::string_view status, std::string& out)
    {
        event(type).key("response");
        response(text_, status);
        send(out);
    }

    static std::string_view prefix(Block::Kind kind) noexcept
    {
        switch (kind) {
        case Block::Kind::Tool: return "fc_";
        case Block::Kind::Reasoning:
        case Block::Kind::Opaque: return "rs_";
        default: return "msg_";
        }
    }
    [[nodiscard]] std::string item_id(const Block& block) const
    {
        return std::string(prefix(block.kind)) + meta().id.substr(std::min<std::size_t>(meta().id.size(), 5)) + '_' + std::to_string(block.number);
    }

    void open(std::uint32_t choice, Block& block, std::string& out) override
    {
        if (!stream_ || choice > 0) return;
        event("response.output_item.added").key("output_index").number(static_cast<std::int64_t>(block.number)).key("item");
        item(text_, block, false);
        send(out);
        if (block.kind == Block::Kind::Reasoning) {
            item_event("response.reasoning_summary_part.added", block).key("summary_index").number(0).key("part");
            summary(text_, {});
            send(out);
        } else if (is_message(block)) {
            item_event("response.content_part.added", block).key("content_index").number(0).key("part");
            part(text_, block, {});
            send(out);
        }
    }

    void delta(std::uint32_t choice, Block& block, std::string_view piece, std::string& out) override
    {
        if (!stream_ || choice > 0) return;
        switch (block.kind) {
        case Block::Kind::Text:
            item_event("response.output_text.delta", block).key("content_index").number(0).key("delta").text(piece).key("logprobs").open('[').close(']');
            break;
        case Block::Kind::Refusal: item_event("response.refusal.delta", block).key("content_index").number(0).key("delta").text(piece); break;
        case Block::Kind::Reasoning: item_event("response.reasoning_summary_text.delta", block).key("summary_index").number(0).key("delta").text(piece); break;
        case Block::Kind::Tool: item_event("response.function_call_arguments.delta", block).key("delta").text(piece); break;
        case Block::Kind::Opaque: return;
        }
        send(out);
    }

    void close(std::uint32_t choice, Block& block, std::string& out) override
    {
        if (!stream_ || choice > 0) return;
        switch (block.kind) {
        case Block::Kind::Text:
            item_event("response.output_text.done", block).key("content_index").number(0).key("text").text(block.text).key("logprobs").open('[').close(']');
            send(out);
            break;
        case Block::Kind::Refusal:
            item_event("response.refusal.done", block).key("content_index").number(0).key("refusal").text(block.text);
            send(out);
            break;
        case Block::Kind::Reasoning:
            item_event("response.reasoning_summary_text.done", block).key("summary_index").number(0).key("text").text(block.text);
            send(out);
            item_event("response.reasoning_summary_part.done", block).key("summary_index").number(0).key("part");
            summary(text_, block.text);
            send(out);
            break;
        case Block::Kind::Tool:
            item_event("response.function_call_arguments.done", block).key("name").text(block.name).key("arguments").text(arguments(block));
            send(out);
            break;
        case Block::Kind::Opaque: break;
        }
        if (is_message(block)) {
            item_event("response.content_part.done", block).key("content_index").number(0).key("part");
            part(text_, block, block.text);
            send(out);
        }
        event("response.output_item.done").key("output_index").number(static_cast<std::int64_t>(block.number)).key("item");
        item(text_, block, true);
        send(out);
    }

    /// Pages that a text is from; places of another kind have no form here.
    bool message_member(std::uint32_t choice, std::string_view raw_key, std::string_view list, std::string& out) override
    {
        if (choice > 0) return true; // lost as a whole
        auto* block = raw_key == "annotations" ? open_text(choice) : nullptr;
        if (!block) return false;
        const core::JsonTree tree(list);
        bool all = true;
        for (const auto annotation : tree.root()) {
            const auto page = annotation["url_citation"];
            if (!page["url"].string()) {
                all = false;
                continue;
            }
            std::string said;
            core::JsonText json(said);
            json.open('{').key("type").inner("url_citation").key("start_index").number(page["start_index"].integer().value_or(0));
            json.key("end_index").number(page["end_index"].integer().value_or(0)).key("url").raw(page["url"].raw());
            json.key("title").raw(page["title"].string() ? page["title"].raw() : "\"\"").close('}');
            (block->citations += block->citations.empty() ? "" : ",") += said;
            if (!stream_) continue;
            item_event("response.output_text.annotation.added", *block).key("content_index").number(0);
            text_.key("annotation_index").number(block->cited++).key("annotation").raw(said);
            send(out);
        }
        return all;
    }

    // -- objects

    static bool is_message(const Block& block) noexcept { return block.kind == Block::Kind::Text || block.kind == Block::Kind::Refusal; }

    static void part(core::JsonText& json, const Block& block, std::string_view text)
    {
        if (block.kind == Block::Kind::Refusal) {
            json.open('{').key("type").inner("refusal").key("refusal").text(text).close('}');
            return;
        }
        json.open('{').key("type").inner("output_text").key("text").text(text);
        json.key("annotations").raw('[' + (text.empty() ? std::string() : block.citations) + ']').key("logprobs").open('[').close(']').close('}');
    }

    static void summary(core::JsonText& json, std::string_view text)
    {
        json.open('{').key("type").inner("summary_text").key("text").text(text).close('}');
    }

    /// What must come back: as it came if it is OpenAI's own, else packed.
    static std::string opaque(const Block& block)
    {
        const core::JsonTree tree(block.details);
        const auto entry = tree.root();
        return entry["format"].is("openai-responses-v1") ? std::string(entry["data"].inner()) : pack_details(block.details);
    }

    void item(core::JsonText& json, const Block& block, bool done) const
    {
        json.open('{').key("id").text(item_id(block));
        switch (block.kind) {
        case Block::Kind::Text:
        case Block::Kind::Refusal:
            json.key("type").inner("message").key("role").inner("assistant").key("status").inner(done ? "completed" : "in_progress").key("content").open('[');
            if (done) part(json, block, block.text);
            json.close(']');
            break;
        case Block::Kind::Reasoning:
        case Block::Kind::Opaque:
            json.key("type").inner("reasoning").key("summary").open('[');
            if (done && block.kind == Block::Kind::Reasoning) summary(json, block.text);
            json.close(']');
            if (done && !block.details.empty()) json.key("encrypted_content").inner(opaque(block));
            break;
        case Block::Kind::Tool:
            json.key("type").inner("function_call").key("status").inner(done ? "completed" : "in_progress").key("call_id").text(block.id);
            json.key("name").text(block.name).key("arguments").text(done ? arguments(block) : std::string_view());
            break;
        }
        json.close('}');
    }

    void response(core::JsonText& json, std::string_view status)
    {
        const bool over = status != "in_progress";
        json.open('{').key("id").text(meta().id).key("object").inner("response").key("created_at").number(meta().created);
        json.key("status").inner(status).key("error");
        if (status == "failed")
            json.open('{').key("code").inner("server_error").key("message").text(fault_message_).close('}');
        else
            json.null();
        json.key("incomplete_details");
        if (status == "incomplete")
            json.open('{').key("reason").inner(choices().front().reason == "length" ? "max_output_tokens" : "content_filter").close('}');
        else
            json.null();
        json.key("instructions").null().key("model").text(meta().model).key("output").open('[');
        if (over && !choices().empty()) {
            const auto& choice = choices().front();
            const auto shown = status == "failed" ? choice.current : choice.blocks.size();
            for (std::size_t i = 0; i < shown; ++i) item(json, choice.blocks[i], true);
        }
        json.close(']').key("parallel_tool_calls").flag(true).key("temperature").null().key("top_p").null().key("tool_choice").inner("auto");
        json.key("tools").open('[').close(']').key("metadata").open('{').close('}');
        if (over && status != "failed" && counts().said()) usage(json);
        json.close('}');
    }

    void usage(core::JsonText& json) const
    {
        const auto at_least_0 = [](std::int64_t n) { return std::max<std::int64_t>(n, 0); };
        const auto& c = counts();
        json.key("usage").open('{').key("input_tokens").number(at_least_0(c.input)).key("input_tokens_details").open('{');
        json.key("cached_tokens").number(at_least_0(c.cache_read)).key("cache_write_tokens").number(at_least_0(c.cache_write)).close('}');
        json.key("output_tokens").number(at_least_0(c.output)).key("output_tokens_details").open('{').key("reasoning_tokens").number(at_least_0(c.reasoning)).close('}');
        json.key("total_tokens").number(at_least_0(c.input) + at_least_0(c.output)).close('}');
    }
    using BlockWriter::usage;

    void ended(std::string& out) override
    {
        const auto& reason = choices().front().reason;
        const std::string_view status = reason == "length" || reason == "content_filter" ? "incomplete" : "completed";
        if (stream_) return with_response(status == "completed" ? "response.completed" : "response.incomplete", status, out);
        core::JsonText json(out);
        response(json, status);
    }

    const bool stream_;
    std::int64_t sequence_ = 0;
    std::string data_, fault_code_, fault_message_;
    std::string_view type_;
    core::JsonText text_{data_};
};

} // namespace

std::unique_ptr<AnswerWriter> responses_writer(bool stream) { return std::make_unique<ResponseWriter>(stream); }

} // namespace dialect
