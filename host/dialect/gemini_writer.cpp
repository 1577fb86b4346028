// Writes an answer as GenerateContentResponse: whole, as events, or as the items of a JSON array.
#include "dialect/gemini_parts.h"

#include "core/base64.h"
#include "core/text.h"
#include "dialect/block_writer.h"
#include "dialect/hub_text.h"

#include <algorithm>
#include <map>

namespace dialect {

namespace {

std::string_view finish_of(std::string_view openai) noexcept
{
    return openai == "length" ? "MAX_TOKENS" : openai == "content_filter" ? "SAFETY" : "STOP";
}

class GeminiWriter final : public BlockWriter {
public:
    GeminiWriter(bool stream, GeminiStream form) : BlockWriter(!stream), stream_(stream), form_(form) {}

    bool fail(const core::Fault& fault, std::string& out) override
    {
        send(gemini_error(fault, {}), out);
        if (form_ == GeminiStream::Array) out += "]";
        return true;
    }

private:
    [[nodiscard]] bool attaches() const noexcept override { return true; }
    [[nodiscard]] bool tells_choices() const noexcept override { return true; }

    void send(std::string_view json, std::string& out)
    {
        if (form_ == GeminiStream::Events) {
            ((out += "data: ") += json) += "\r\n\r\n";
            return;
        }
        (out += std::exchange(begun_, true) ? ",\r\n" : "[") += json;
    }

    void tail(core::JsonText& json) const { json.key("modelVersion").text(meta().model).key("responseId").text(meta().id); }

    /// A chunk with one candidate that has what `parts` writes.
    template <class Parts>
    void chunk_of(std::uint32_t choice, std::string_view finish, bool usage, std::string& out, Parts&& parts)
    {
        std::string data;
        core::JsonText json(data);
        json.open('{').key("candidates").open('[').open('{').key("content").open('{').key("parts").open('[');
        parts(json);
        json.close(']').key("role").inner("model").close('}');
        if (!finish.empty()) {
            json.key("finishReason").inner(finish);
            grounding(json, choice);
        }
        json.key("index").number(choice).close('}').close(']');
        if (usage) usage_metadata(json);
        tail(json);
        json.close('}');
        send(data, out);
    }

    void open(std::uint32_t, Block&, std::string&) override {}

    void delta(std::uint32_t choice, Block& block, std::string_view piece, std::string& out) override
    {
        if (!stream_ || block.kind == Block::Kind::Tool || block.kind == Block::Kind::Opaque) return;
        chunk_of(choice, {}, false, out, [&](core::JsonText& json) { text_part(json, piece, block.kind == Block::Kind::Reasoning, {}); });
    }

    void close(std::uint32_t choice, Block& block, std::string& out) override
    {
        if (!stream_) return;
        if (block.kind == Block::Kind::Tool || block.kind == Block::Kind::Opaque)
            return chunk_of(choice, {}, false, out, [&](core::JsonText& json) { part(json, block); });
        if (!block.details.empty()) // the thought's seal, on a part without text
            chunk_of(choice, {}, false, out, [&](core::JsonText& json) { text_part(json, {}, true, block.details); });
    }

    static void text_part(core::JsonText& json, std::string_view text, bool thought, std::string_view details)
    {
        json.open('{').key("text").text(text);
        if (thought) json.key("thought").flag(true);
        if (!details.empty()) json.key("thoughtSignature").text(gemini_signature(details));
        json.close('}');
    }

    static void part(core::JsonText& json, const Block& block)
    {
        switch (block.kind) {
        case Block::Kind::Text:
        case Block::Kind::Refusal: return text_part(json, block.text, false, {});
        case Block::Kind::Reasoning: return text_part(json, block.text, true, block.details);
        case Block::Kind::Opaque: return text_part(json, {}, false, block.details);
        case Block::Kind::Tool: break;
        }
        const core::JsonTree args(arguments(block));
        json.open('{').key("functionCall").open('{').key("id").text(block.id).key("name").text(block.name);
        json.key("args").raw(args.root().object() ? on_one_line(arguments(block)) : "{}").close('}');
        if (!block.details.empty()) json.key("thoughtSignature").text(gemini_signature(block.details));
        json.close('}');
    }

    /// Pages that an answer is from.
    bool message_member(std::uint32_t choice, std::string_view raw_key, std::string_view list, std::string&) override
    {
        if (raw_key != "annotations") return false;
        const core::JsonTree tree(list);
        bool all = true;
        for (const auto annotation : tree.root()) {
            const auto page = annotation["url_citation"];
            all = all && page["url"].string();
            if (!page["url"].string()) continue;
            auto& pages = pages_[choice];
            core::JsonText json(pages);
            if (!pages.empty()) pages += ',';
            json.open('{').key("web").open('{').key("uri").raw(page["url"].raw()).copy("title", page["title"]).close('}').close('}');
        }
        return all;
    }

    void grounding(core::JsonText& json, std::uint32_t choice) const
    {
        const auto pages = pages_.find(choice);
        if (pages != pages_.end()) json.key("groundingMetadata").open('{').key("groundingChunks").raw('[' + pages->second + ']').close('}');
    }

    void usage_metadata(core::JsonText& json) const
    {
        const auto& c = counts();
        const auto input = std::max<std::int64_t>(c.input, 0), output = std::max<std::int64_t>(c.output, 0);
        const auto thoughts = std::clamp<std::int64_t>(c.reasoning, 0, output);
        json.key("usageMetadata").open('{').key("promptTokenCount").number(input).key("candidatesTokenCount").number(output - thoughts);
        if (c.reasoning >= 0) json.key("thoughtsTokenCount").number(thoughts);
        if (c.cache_read >= 0) json.key("cachedContentTokenCount").number(c.cache_read);
        json.key("totalTokenCount").number(input + output).close('}');
    }

    void ended(std::string& out) override
    {
        if (stream_) {
            for (std::uint32_t i = 0; i < choices().size(); ++i)
                chunk_of(i, finish_of(choices()[i].reason), i + 1 == choices().size(), out, [](core::JsonText& json) { text_part(json, {}, false, {}); });
            if (form_ == GeminiStream::Array) out += "]";
            return;
        }
        core::JsonText json(out);
        json.open('{').key("candidates").open('[');
        for (std::uint32_t i = 0; i < choices().size(); ++i) {
            json.open('{').key("content").open('{').key("parts").open('[');
            for (const auto& block : choices()[i].blocks) part(json, block);
            json.close(']').key("role").inner("model").close('}').key("finishReason").inner(finish_of(choices()[i].reason));
            grounding(json, i);
            json.key("index").number(i).close('}');
        }
        json.close(']');
        usage_metadata(json);
        tail(json);
        json.close('}');
    }

    const bool stream_;
    const GeminiStream form_;
    std::map<std::uint32_t, std::string> pages_; ///< by choice
    bool begun_ = false;
};

} // namespace

std::unique_ptr<AnswerWriter> gemini_writer(bool stream, GeminiStream form) { return std::make_unique<GeminiWriter>(stream, form); }

std::string gemini_signature(std::string_view entry_json)
{
    const core::JsonTree tree(entry_json);
    const auto entry = tree.root();
    const bool ours = entry["format"].is("google-gemini-v1");
    return ours ? entry[entry["data"] ? "data" : "signature"].text() : core::base64(pack_details(entry_json));
}

std::string gemini_entry(std::string_view signature, std::string_view call_id)
{
    if (const auto bytes = core::from_base64(signature))
        if (auto entry = unpack_details(*bytes)) return *std::move(entry);
    std::string out;
    core::JsonText json(out);
    json.open('{').key("type").inner("reasoning.encrypted").key("data").inner(signature);
    if (!call_id.empty()) json.key("id").text(call_id);
    json.key("format").inner("google-gemini-v1").close('}');
    return out;
}

} // namespace dialect
