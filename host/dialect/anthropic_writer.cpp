// Writes an answer as a Message, whole or as its events.
#include "dialect/anthropic_parts.h"

#include "core/text.h"
#include "dialect/block_writer.h"
#include "dialect/hub_text.h"

#include <algorithm>

namespace dialect {

namespace {

std::string_view stop_reason(std::string_view openai) noexcept
{
    if (openai == "length") return "max_tokens";
    if (openai == "tool_calls") return "tool_use";
    return openai == "content_filter" ? "refusal" : "end_turn";
}

class MessageWriter final : public BlockWriter {
public:
    explicit MessageWriter(bool stream) : BlockWriter(!stream), stream_(stream) {}

    void begin(const AnswerMeta& meta, std::string& out) override
    {
        BlockWriter::begin(meta, out);
        if (!stream_) return;
        std::string message;
        core::JsonText json(message);
        json.open('{').key("type").inner("message_start").key("message").open('{');
        head(json);
        json.key("content").open('[').close(']').key("stop_reason").null().key("stop_sequence").null();
        json.key("stop_details").null().key("usage");
        usage_object(json, Counts{.input = 0, .output = 0});
        json.close('}').close('}');
        event("message_start", message, out);
    }

    bool fail(const core::Fault& fault, std::string& out) override
    {
        event("error", anthropic_error(fault, {}), out);
        return true;
    }

private:
    static void event(std::string_view name, std::string_view data, std::string& out)
    {
        ((((out += "event: ") += name) += "\ndata: ") += data) += "\n\n";
    }

    void head(core::JsonText& json) const
    {
        json.key("id").text(meta().id).key("type").inner("message").key("role").inner("assistant");
        json.key("model").text(meta().model).key("container").null().key("diagnostics").null();
    }

    static void number_or_null(core::JsonText& json, std::string_view name, std::int64_t value)
    {
        value < 0 ? json.key(name).null() : json.key(name).number(value);
    }

    /// What all usage objects say. Anthropic's input leaves out what was read from and written to a cache.
    static void usage_members(core::JsonText& json, const Counts& counts)
    {
        const auto cached = std::max<std::int64_t>(counts.cache_read, 0) + std::max<std::int64_t>(counts.cache_write, 0);
        json.key("input_tokens").number(std::max<std::int64_t>(counts.input - cached, 0));
        number_or_null(json, "cache_creation_input_tokens", counts.cache_write);
        number_or_null(json, "cache_read_input_tokens", counts.cache_read);
        json.key("output_tokens").number(std::max<std::int64_t>(counts.output, 0)).key("output_tokens_details");
        if (counts.reasoning < 0)
            json.null();
        else
            json.open('{').key("thinking_tokens").number(counts.reasoning).close('}');
        json.key("server_tool_use").null();
    }

    static void usage_object(core::JsonText& json, const Counts& counts)
    {
        json.open('{');
        usage_members(json, counts);
        json.key("cache_creation");
        if (counts.cache_write < 0)
            json.null();
        else {
            const auto lasting = std::max<std::int64_t>(counts.cache_write_long, 0);
            json.open('{').key("ephemeral_5m_input_tokens").number(counts.cache_write - lasting);
            json.key("ephemeral_1h_input_tokens").number(lasting).close('}');
        }
        json.key("inference_geo").null().key("service_tier").null().key("speed").null().close('}');
    }

    void open(std::uint32_t choice, Block& block, std::string& out) override
    {
        if (!stream_ || choice > 0) return;
        std::string data;
        core::JsonText json(data);
        json.open('{').key("type").inner("content_block_start").key("index").number(static_cast<std::int64_t>(block.number));
        json.key("content_block");
        write_block(json, block, true);
        json.close('}');
        event("content_block_start", data, out);
    }

    /// A content block; `empty`: as it is when it begins.
    static void write_block(core::JsonText& json, const Block& block, bool empty)
    {
        json.open('{');
        switch (block.kind) {
        case Block::Kind::Text:
        case Block::Kind::Refusal:
            json.key("type").inner("text").key("text").text(empty ? std::string_view() : block.text).key("citations").null();
            break;
        case Block::Kind::Reasoning:
            json.key("type").inner("thinking").key("thinking").text(empty ? std::string_view() : block.text);
            json.key("signature").inner(empty ? std::string() : signature(block));
            break;
        case Block::Kind::Opaque:
            json.key("type").inner("redacted_thinking").key("data").inner(opaque(block));
            break;
        case Block::Kind::Tool:
            json.key("type").inner("tool_use").key("id").text(block.id).key("name").text(block.name);
            json.key("input").raw(empty ? std::string_view("{}") : input(block)).key("caller").open('{').key("type").inner("direct").close('}');
            break;
        }
        json.close('}');
    }

    /// What the model wrote as arguments; something else than an object is no input.
    static std::string_view input(const Block& block)
    {
        const core::JsonTree tree(arguments(block));
        return tree.root().object() ? arguments(block) : std::string_view("{}");
    }

    static bool is_ours(core::JsonValue entry) { return entry["format"].is("anthropic-claude-v1") || !entry["format"].said(); }

    static std::string signature(const Block& block)
    {
        if (block.details.empty()) return {};
        const core::JsonTree tree(block.details);
        return is_ours(tree.root()) ? std::string(tree.root()["signature"].inner()) : pack_details(block.details);
    }

    static std::string opaque(const Block& block)
    {
        const core::JsonTree tree(block.details);
        return is_ours(tree.root()) ? std::string(tree.root()["data"].inner()) : pack_details(block.details);
    }

    void delta(std::uint32_t choice, Block& block, std::string_view piece, std::string& out) override
    {
        if (!stream_ || choice > 0 || block.kind == Block::Kind::Opaque) return;
        if (block.kind == Block::Kind::Tool) return piece_of(block, "input_json_delta", "partial_json", piece, out);
        const bool thought = block.kind == Block::Kind::Reasoning;
        piece_of(block, thought ? "thinking_delta" : "text_delta", thought ? "thinking" : "text", piece, out);
    }

    static void piece_of(const Block& block, std::string_view type, std::string_view member, std::string_view piece, std::string& out)
    {
        out += "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":";
        ((out += std::to_string(block.number)) += ",\"delta\":{\"type\":\"") += type;
        (((out += "\",\"") += member) += "\":") += core::quoted(piece);
        out += "}}\n\n";
    }

    void close(std::uint32_t choice, Block& block, std::string& out) override
    {
        if (!stream_ || choice > 0) return;
        if (block.kind == Block::Kind::Reasoning && !block.details.empty()) piece_of(block, "signature_delta", "signature", signature(block), out);
        event("content_block_stop", "{\"type\":\"content_block_stop\",\"index\":" + std::to_string(block.number) + '}', out);
    }

    void ended(std::string& out) override
    {
        const auto& choice = choices().front();
        const bool refused = std::any_of(choice.blocks.begin(), choice.blocks.end(), [](const auto& b) { return b.kind == Block::Kind::Refusal; });
        const auto reason = refused ? "refusal" : stop_reason(choice.reason);
        stream_ ? end_stream(reason, out) : write_whole(choice, reason, out);
    }

    void end_stream(std::string_view reason, std::string& out) const
    {
        std::string data;
        core::JsonText json(data);
        json.open('{').key("type").inner("message_delta").key("delta").open('{').key("stop_reason").inner(reason);
        json.key("stop_sequence").null().key("container").null().key("stop_details").null().close('}').key("usage").open('{');
        usage_members(json, counts());
        json.close('}').close('}');
        event("message_delta", data, out);
        event("message_stop", R"({"type":"message_stop"})", out);
    }

    void write_whole(const Choice& choice, std::string_view reason, std::string& out) const
    {
        core::JsonText json(out);
        json.open('{');
        head(json);
        json.key("content").open('[');
        for (const auto& block : choice.blocks) write_block(json, block, false);
        json.close(']').key("stop_reason").inner(reason).key("stop_sequence").null().key("stop_details").null().key("usage");
        usage_object(json, counts());
        json.close('}');
    }

    const bool stream_;
};

} // namespace

std::unique_ptr<AnswerWriter> anthropic_writer(bool stream) { return std::make_unique<MessageWriter>(stream); }

} // namespace dialect
