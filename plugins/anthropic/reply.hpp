// What a Messages answer says, whole or streamed, as events.
#pragma once

#include <portolan/json.hpp>

#include <map>
#include <vector>

namespace anthropic {

using portolan::json, portolan::text, portolan::count;

inline std::string_view finish_of(std::string_view stop_reason)
{
    if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded") return "length";
    if (stop_reason == "tool_use") return "tool_calls";
    if (stop_reason == "refusal") return "content_filter";
    return "stop"; // end_turn, stop_sequence, pause_turn and what is not known yet
}

/// input_tokens leave cached ones out; ours are totals. What a later event says takes the place of what an earlier one said.
class UsageReader {
public:
    void read(const json& usage)
    {
        if (!usage.is_object()) return;
        const auto set = [&](std::int64_t& to, const char* pointer) {
            if (const auto v = count(usage, pointer); v >= 0) to = v;
        };
        set(fresh_, "/input_tokens");
        set(said_.cache_read, "/cache_read_input_tokens"), set(said_.cache_write, "/cache_creation_input_tokens");
        set(said_.cache_write_long, "/cache_creation/ephemeral_1h_input_tokens");
        set(said_.output, "/output_tokens"), set(said_.reasoning, "/output_tokens_details/thinking_tokens");
        set(said_.searches, "/server_tool_use/web_search_requests");
        if (fresh_ >= 0) said_.input = fresh_ + std::max<std::int64_t>(said_.cache_read, 0) + std::max<std::int64_t>(said_.cache_write, 0);
    }
    [[nodiscard]] bool any() const noexcept { return said_.input >= 0 || said_.output >= 0; }
    [[nodiscard]] const portolan_usage& usage() const noexcept { return said_; }

private:
    std::int64_t fresh_ = -1;
    portolan_usage said_ = portolan::usage();
};

inline std::int32_t fault_of(std::string_view type, std::string_view message)
{
    const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
    if (type == "billing_error" || says("credit balance is too low") || says("enforced_spend_limit")) return PORTOLAN_FAULT_QUOTA;
    if (type == "overloaded_error") return PORTOLAN_FAULT_OVERLOADED;
    if (type == "rate_limit_error") return PORTOLAN_FAULT_RATE_LIMIT;
    if (type == "authentication_error" || type == "permission_error") return PORTOLAN_FAULT_AUTH;
    if (type == "not_found_error") return PORTOLAN_FAULT_NO_MODEL;
    if (type == "timeout_error") return PORTOLAN_FAULT_TIMEOUT;
    if (says("prompt is too long") || says("exceed context limit")) return PORTOLAN_FAULT_TOO_LONG;
    if (type == "invalid_request_error" || type == "request_too_large") return PORTOLAN_FAULT_BAD_REQUEST;
    return PORTOLAN_FAULT_SERVER;
}

class ReplyReader {
public:
    /// `by_tool`: the input of the tool `answer` is the text of the answer.
    ReplyReader(bool by_tool, std::string_view answer) : by_tool_(by_tool), answer_(answer) {}

    void whole(const json& j, portolan::Events& out)
    {
        if (text(j, "/type") == "error") return error(j, out);
        if (!j.contains("content")) throw portolan::Error(PORTOLAN_E_UPSTREAM, "a Messages answer without content");
        out.start(text(j, "/id"), text(j, "/model"));
        std::size_t index = 0;
        for (const auto& block : j["content"].is_array() ? j["content"] : json::array()) {
            begin(index, block, out);
            end(index++, out);
        }
        usage_.read(j.value("usage", json()));
        if (usage_.any()) out.usage(usage_.usage());
        stop(j, out);
    }

    /// One event of a stream. `type` as its event line says, or the data.
    void event(std::string_view type, const json& j, portolan::Events& out)
    {
        const auto index = std::size_t(std::max<std::int64_t>(0, count(j, "/index")));
        if (type == "message_start") {
            const auto message = j.value("message", json::object());
            usage_.read(message.value("usage", json()));
            out.start(text(message, "/id"), text(message, "/model"));
            if (usage_.any()) out.usage(usage_.usage());
        } else if (type == "content_block_start")
            begin(index, j.value("content_block", json::object()), out);
        else if (type == "content_block_delta")
            delta(index, j.value("delta", json::object()), out);
        else if (type == "content_block_stop")
            end(index, out);
        else if (type == "message_delta") {
            usage_.read(j.value("usage", json()));
            if (usage_.any()) out.usage(usage_.usage());
            if (const auto d = j.value("delta", json::object()); !text(d, "/stop_reason").empty()) stop(d, out);
        } else if (type == "error")
            error(j, out);
    }

    static void error(const json& j, portolan::Events& out)
    {
        const auto message = text(j, "/error/message");
        out.fault(fault_of(text(j, "/error/type"), message), message);
    }

private:
    struct Block {
        std::string type, name, signature;
        unsigned tool = 0;
        bool answers = false, has_arguments = false;
        std::size_t bytes = 0, from = 0; ///< of thinking; where its text begins in the answer, in characters
        json citations = json::array();
    };

    void begin(std::size_t index, const json& b, portolan::Events& out)
    {
        auto& block = blocks_[index] = {};
        block.type = text(b, "/type"), block.from = characters_;
        if (block.type == "text") {
            say(text(b, "/text"), out);
            if (b.contains("citations") && b["citations"].is_array()) block.citations = b["citations"];
        } else if (block.type == "thinking") {
            block.signature = text(b, "/signature");
            think(block, text(b, "/thinking"), out);
        } else if (block.type == "redacted_thinking")
            out.message(json{{"reasoning_details", {{{"type", "reasoning.encrypted"}, {"data", text(b, "/data")}, {"format", "anthropic-claude-v1"}}}}}.dump());
        else if (block.type == "tool_use") {
            block.name = text(b, "/name");
            block.answers = by_tool_ && block.name == answer_;
            if (!block.answers) out.tool_begin(block.tool = tools_++, text(b, "/id"), block.name);
            const auto input = b.value("input", json());
            if (input.is_object() && !input.empty()) arguments(block, input.dump(), out);
        } else
            out.lost(block.type); // a tool of Anthropic's own and what it found
    }

    void delta(std::size_t index, const json& d, portolan::Events& out)
    {
        const auto at = blocks_.find(index);
        if (at == blocks_.end()) return;
        auto& block = at->second;
        const auto type = text(d, "/type");
        if (type == "text_delta") say(text(d, "/text"), out);
        else if (type == "thinking_delta") think(block, text(d, "/thinking"), out);
        else if (type == "signature_delta") block.signature += text(d, "/signature");
        else if (type == "input_json_delta" && block.type == "tool_use") arguments(block, text(d, "/partial_json"), out);
        else if (type == "citations_delta" && d.contains("citation")) block.citations.push_back(d["citation"]);
    }

    void end(std::size_t index, portolan::Events& out)
    {
        const auto at = blocks_.find(index);
        if (at == blocks_.end()) return;
        auto& block = at->second;
        if (block.type == "tool_use" && !block.has_arguments) arguments(block, "{}", out);
        if (block.type == "thinking" && !block.signature.empty())
            out.message(json{{"reasoning_details",
                              {{{"type", "reasoning.text"}, {"signature", block.signature}, {"format", "anthropic-claude-v1"}, {"text_bytes", block.bytes}}}}}
                            .dump());
        if (!block.citations.empty()) cite(block, out);
        blocks_.erase(at);
    }

    /// Pages as OpenAI's annotations; places in documents have no such form and stay as they are.
    void cite(const Block& block, portolan::Events& out)
    {
        json annotations = json::array(), others = json::array();
        for (const auto& c : block.citations)
            if (const auto url = text(c, "/url"); !url.empty())
                annotations.push_back({{"type", "url_citation"},
                                       {"url_citation", {{"url", url}, {"title", text(c, "/title")}, {"start_index", block.from}, {"end_index", characters_}}}});
            else
                others.push_back(c);
        json message;
        if (!annotations.empty()) message["annotations"] = annotations;
        if (!others.empty()) message["citations"] = others;
        out.message(message.dump());
    }

    void say(const std::string& piece, portolan::Events& out)
    {
        if (piece.empty()) return;
        characters_ += std::size_t(std::count_if(piece.begin(), piece.end(), [](char c) { return (c & 0xc0) != 0x80; }));
        out.text(piece);
    }
    static void think(Block& block, const std::string& piece, portolan::Events& out)
    {
        if (piece.empty()) return;
        block.bytes += piece.size();
        out.reasoning(piece);
    }
    void arguments(Block& block, const std::string& piece, portolan::Events& out)
    {
        if (piece.empty()) return;
        block.has_arguments = true;
        if (block.answers)
            say(piece, out);
        else
            out.tool_args(block.tool, piece);
    }

    void stop(const json& j, portolan::Events& out)
    {
        const auto reason = text(j, "/stop_reason");
        if (const auto why = text(j, "/stop_details/explanation"); reason == "refusal" && !why.empty()) out.message(json{{"refusal", why}}.dump());
        out.finish(reason == "tool_use" && tools_ == 0 ? "stop" : finish_of(reason));
    }

    bool by_tool_;
    std::string answer_;
    UsageReader usage_;
    std::map<std::size_t, Block> blocks_;
    unsigned tools_ = 0;
    std::size_t characters_ = 0;
};

} // namespace anthropic
