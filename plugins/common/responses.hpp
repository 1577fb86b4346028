// What a Response says, whole or as events: in passing where it is relayed, or told as a chat's answer.
// https://platform.openai.com/docs/api-reference/responses
#pragma once

#include "usage.hpp"

#include <string>
#include <utility>
#include <vector>

namespace hub::openai {

using portolan::json;

inline constexpr const char* own_format = "openai-responses-v1"; // of reasoning items that go back unchanged

inline std::int32_t fault_of(std::string_view code)
{
    if (code == "rate_limit_exceeded") return PORTOLAN_FAULT_RATE_LIMIT;
    if (code == "insufficient_quota") return PORTOLAN_FAULT_QUOTA;
    if (code == "context_length_exceeded") return PORTOLAN_FAULT_TOO_LONG;
    if (code == "server_is_overloaded" || code == "slow_down") return PORTOLAN_FAULT_OVERLOADED;
    if (code == "content_policy_violation" || code == "image_content_policy_violation") return PORTOLAN_FAULT_CONTENT;
    if (code == "invalid_prompt" || code.starts_with("invalid_")) return PORTOLAN_FAULT_BAD_REQUEST;
    return PORTOLAN_FAULT_SERVER;
}

/// The member "type" of an event; some servers leave the event line out.
inline std::string_view type_of(std::string_view data)
{
    std::string_view type;
    portolan::members(data, [&](std::string_view key, std::string_view value) {
        if (key == "type" && value.size() > 2) type = value.substr(1, value.size() - 2);
    });
    return type;
}

/// The events of the Responses dialect, which the host does not read for itself. The client gets the bytes anyway.
class ResponsesReader {
public:
    explicit ResponsesReader(bool text_wanted) : text_wanted_(text_wanted) {}

    void read(const portolan::Frame& f, portolan::Events& out) const
    {
        if (f.whole()) return last(portolan::parse(f.data()), out);
        const auto type = f.event().empty() ? type_of(f.data()) : f.event();
        if (type == "response.completed" || type == "response.incomplete" || type == "response.failed")
            last(portolan::parse(f.data()).at("response"), out);
        else if (type == "error")
            failed(portolan::parse(f.data()), out);
        else if (text_wanted_ && type == "response.output_text.delta")
            out.text(portolan::text(portolan::parse(f.data()), "/delta"));
    }

    /// True for what comes before any content: held back, so that a failure right after it can go to another candidate.
    static bool opening(const portolan::Frame& f)
    {
        const auto type = f.event().empty() ? type_of(f.data()) : f.event();
        return type == "response.created" || type == "response.queued" || type == "response.in_progress";
    }

    static void failed(const json& error, portolan::Events& out)
    {
        const auto& e = error.contains("error") && error["error"].is_object() ? error["error"] : error;
        out.fault(fault_of(portolan::text(e, "/code")), portolan::text(e, "/message"));
    }
    void end(const json& response, portolan::Events& out) const { last(response, out); }

private:
    void last(const json& response, portolan::Events& out) const
    {
        out.start(portolan::text(response, "/id"), portolan::text(response, "/model"));
        const auto* counts = portolan::find(response, "/usage");
        const auto usage = openai_usage(counts ? counts->dump() : "");
        if (said(usage)) out.usage(usage);
        const auto status = portolan::text(response, "/status");
        if (status == "failed") return failed(response, out);
        if (status == "incomplete")
            return out.finish(portolan::text(response, "/incomplete_details/reason") == "content_filter"
                                  ? "content_filter"
                                  : "length");
        bool calls = false;
        for (const auto& item : portolan::at<json>(response, "/output", json::array()))
            calls |= portolan::text(item, "/type") == "function_call" || portolan::text(item, "/type") == "custom_tool_call";
        out.finish(calls ? "tool_calls" : "stop");
    }

    bool text_wanted_;
};

/// What a response says, whole or as events, told as a chat's answer.
class ResponseReply {
public:
    void whole(const json& r, portolan::Events& out)
    {
        if (const auto status = portolan::text(r, "/status"); status == "failed") return reader_.end(r, out);
        for (const auto& item : portolan::at<json>(r, "/output", json::array())) {
            const auto type = portolan::text(item, "/type");
            if (type == "reasoning") {
                for (const auto& s : portolan::at<json>(item, "/summary", json::array())) out.reasoning(portolan::text(s, "/text"));
                if (portolan::at<json>(item, "/summary", json::array()).empty())
                    for (const auto& c : portolan::at<json>(item, "/content", json::array())) out.reasoning(portolan::text(c, "/text"));
            }
            if (type == "message")
                for (const auto& c : portolan::at<json>(item, "/content", json::array())) {
                    if (portolan::text(c, "/type") == "output_text") out.text(portolan::text(c, "/text"));
                    if (portolan::text(c, "/type") == "refusal") out.message(json{{"refusal", portolan::text(c, "/refusal")}}.dump());
                }
            if (is_call(type)) begin(item, out), arguments(item, out);
            done(item, out);
        }
        reader_.end(r, out);
    }

    void event(const portolan::Frame& f, portolan::Events& out)
    {
        const auto from = f.data().find_first_not_of(" \t\r\n");
        if (from == f.data().npos || f.data().substr(from).starts_with("[DONE]")) return;
        const auto e = portolan::parse(f.data());
        const auto type = portolan::text(e, "/type").empty() ? std::string(f.event()) : portolan::text(e, "/type");
        if (type == "response.created") out.start(portolan::text(e, "/response/id"), portolan::text(e, "/response/model"));
        if (type == "response.output_text.delta") out.text(portolan::text(e, "/delta"));
        if (type == "response.reasoning_summary_text.delta" || type == "response.reasoning_text.delta") out.reasoning(portolan::text(e, "/delta"));
        if (type == "response.refusal.delta") out.message(json{{"refusal", portolan::text(e, "/delta")}}.dump());
        if (type == "response.output_item.added" && is_call(portolan::text(e, "/item/type"))) begin(e["item"], out);
        if (type == "response.function_call_arguments.delta")
            if (auto* call = find(portolan::text(e, "/item_id"))) {
                const auto piece = portolan::text(e, "/delta");
                call->told = call->told || !piece.empty();
                if (!piece.empty()) out.tool_args(call->index, piece);
            }
        if (type == "response.output_item.done" && e.contains("item")) {
            const auto& item = e["item"];
            if (is_call(portolan::text(item, "/type"))) {
                if (!find(portolan::text(item, "/id"))) begin(item, out);
                arguments(item, out);
            }
            done(item, out);
        }
        if (type == "response.completed" || type == "response.incomplete" || type == "response.failed") reader_.end(e.at("response"), out);
        if (type == "error") reader_.failed(e, out);
    }

private:
    struct Call {
        std::string item;
        unsigned index;
        bool told = false; ///< some of its arguments
    };
    static bool is_call(const std::string& type) { return type == "function_call" || type == "custom_tool_call"; }
    Call* find(const std::string& item)
    {
        for (auto& c : calls_)
            if (c.item == item) return &c;
        return nullptr;
    }
    void begin(const json& item, portolan::Events& out)
    {
        calls_.push_back({portolan::text(item, "/id"), unsigned(calls_.size())});
        out.tool_begin(calls_.back().index, portolan::text(item, "/call_id"), portolan::text(item, "/name"));
    }
    /// Those that did not come piece by piece.
    void arguments(const json& item, portolan::Events& out)
    {
        auto* call = find(portolan::text(item, "/id"));
        if (!call || std::exchange(call->told, true)) return;
        if (portolan::text(item, "/type") == "custom_tool_call")
            out.tool_args(call->index, json{{"input", portolan::text(item, "/input")}}.dump());
        else if (const auto text = portolan::text(item, "/arguments"); !text.empty())
            out.tool_args(call->index, text);
    }
    /// What must come back, and where the text is from. What OpenAI's own tools did and found has no form in a chat's answer.
    static void done(const json& item, portolan::Events& out)
    {
        const auto kind = portolan::text(item, "/type");
        if (kind != "message" && kind != "reasoning" && !is_call(kind)) out.lost(kind);
        const auto sealed = portolan::text(item, "/encrypted_content");
        if (portolan::text(item, "/type") == "reasoning" && !sealed.empty())
            out.message(json{{"reasoning_details", json::array({json{{"type", "reasoning.encrypted"}, {"data", sealed}, {"id", portolan::text(item, "/id")}, {"format", own_format}}})}}.dump());
        json annotations = json::array();
        for (const auto& c : portolan::text(item, "/type") == "message" ? portolan::at<json>(item, "/content", json::array()) : json::array())
            for (const auto& a : portolan::at<json>(c, "/annotations", json::array()))
                if (portolan::text(a, "/type") == "url_citation") {
                    json inner = a;
                    inner.erase("type");
                    annotations.push_back({{"type", "url_citation"}, {"url_citation", std::move(inner)}});
                }
        if (!annotations.empty()) out.message(json{{"annotations", std::move(annotations)}}.dump());
    }

    ResponsesReader reader_{false};
    std::vector<Call> calls_;
};

} // namespace hub::openai
