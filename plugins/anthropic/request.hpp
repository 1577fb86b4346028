// An OpenAI chat request as a Messages request (docs.anthropic.com/en/api/messages).
#pragma once

#include "../common/tools.hpp"

namespace anthropic {

using hub::Kind;
using portolan::json;

/// What Claude's generations can do, by name: a relay may offer older ones for years.
struct Model {
    explicit Model(std::string_view name)
    {
        const auto has = [&](std::string_view word) { return name.find(word) != name.npos; };
        const bool first = has("claude-2") || has("claude-1") || has("claude-instant") || has("claude-3");
        const bool four_0 = has("sonnet-4-0") || has("opus-4-0") || has("sonnet-4-2025") || has("opus-4-2025") || has("sonnet-4@") || has("opus-4@") ||
                            name.ends_with("sonnet-4") || name.ends_with("opus-4");
        const bool four_5 = has("opus-4-1") || has("-4-5") || has("-4.5") || has("-4.1");
        output_format = !first && !four_0;
        thinks = !first || has("claude-3-7") || has("claude-3.7");
        budgets = thinks && (first || four_0 || four_5);
        one_of_temperature_and_top_p = !first && !four_0;
    }
    bool output_format; ///< output_config.format and strict tools
    bool thinks;
    bool budgets;       ///< thinking takes budget_tokens; later models think adaptively and take an effort
    bool one_of_temperature_and_top_p;
};

/// How this exchange asks; changed when an upstream refuses something.
struct Manner {
    bool native_format = true; ///< json_schema as output_config.format, else as a tool that must be called
    bool thinking = true;
    bool sampling = true;      ///< temperature and top_p
};

constexpr std::string_view answer_tool = "json_answer"; ///< the tool whose input is a structured answer

class RequestWriter {
public:
    RequestWriter(std::string_view text, const portolan::Request& rq, std::int64_t usual_max_tokens, Manner manner)
        : in_(text), rq_(rq), model_(rq.model()), usual_max_tokens_(usual_max_tokens), manner_(manner)
    {
        hub::one_answer(rq, "Claude");
    }

    /// `counting`: for count_tokens, which takes no limits and no sampling.
    json write(bool counting)
    {
        format_ = in_.format();
        choice_ = in_.tool_choice();
        by_tool_ = format_.kind == hub::Format::Kind::Schema && !(model_.output_format && manner_.native_format);
        json out{{"model", rq_.model()}};
        const auto talk = in_.conversation();
        system(talk, out);
        out["messages"] = messages(talk);
        if (out["messages"].empty()) throw portolan::Error(PORTOLAN_E_INVALID, "messages: Claude needs at least one user message");
        tools(out);
        limits(out);
        thinking(talk, out);
        sampling(out);
        structure(out);
        about_client(out);
        keep_four_marks(out);
        if (counting)
            for (const char* name : {"max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier"}) out.erase(name);
        else if (rq_.stream())
            out["stream"] = true;
        return out;
    }
    const hub::Lost& lost() { return in_.told(); }
    /// The structured answer comes as the input of `answer_tool`.
    [[nodiscard]] bool by_tool() const noexcept { return by_tool_; }

private:
    void mark(const hub::Part& p, json& block)
    {
        if (p.cache.is_object() && !block.is_null()) block["cache_control"] = p.cache;
    }

    json source(const hub::Media& m)
    {
        if (m.here()) return {{"type", "base64"}, {"media_type", m.type}, {"data", m.data}};
        if (m.url.empty()) throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "messages: a file by id cannot be sent to Claude; send its bytes or a URL");
        return {{"type", "url"}, {"url", m.url}};
    }

    json document(const hub::Media& m)
    {
        json block{{"type", "document"}};
        if (m.here() && m.type.starts_with("text/"))
            block["source"] = {{"type", "text"}, {"media_type", "text/plain"}, {"data", hub::base64_decoded(m.data)}};
        else if (m.here() && m.type != "application/pdf")
            throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "messages: Claude reads PDF and text files, not " + (m.type.empty() ? std::string("files of unknown type") : m.type));
        else
            block["source"] = source(m);
        if (!m.name.empty()) block["title"] = m.name;
        return block;
    }

    /// Null for what has no place in a turn.
    json block(const hub::Part& p)
    {
        switch (p.kind) {
        case Kind::Text:
        case Kind::Refusal: return p.text.empty() ? json() : json{{"type", "text"}, {"text", p.text}};
        case Kind::Image: return {{"type", "image"}, {"source", source(p.media)}};
        case Kind::File: return document(p.media);
        case Kind::Call: return {{"type", "tool_use"}, {"id", hub::call_id(p.id)}, {"name", p.name}, {"input", p.arguments}};
        case Kind::Result: return result(p);
        case Kind::Thinking:
            if (p.format != "anthropic-claude-v1" && !p.format.empty()) return {};
            return p.signature.empty() ? json() : json{{"type", "thinking"}, {"thinking", p.text}, {"signature", p.signature}};
        case Kind::Sealed: return p.format == "anthropic-claude-v1" ? json{{"type", "redacted_thinking"}, {"data", p.signature}} : json();
        case Kind::Audio: throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "messages: Claude takes no audio");
        case Kind::Video: throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "messages: Claude takes no video");
        default: return {};
        }
    }

    json result(const hub::Part& p)
    {
        json out{{"type", "tool_result"}, {"tool_use_id", hub::call_id(p.id)}};
        const bool plain = p.content.size() == 1 && p.content[0].kind == Kind::Text && p.content[0].cache.is_null();
        if (plain)
            out["content"] = p.content[0].text;
        else if (!p.content.empty())
            out["content"] = blocks(p.content);
        if (p.error) out["is_error"] = true;
        return out;
    }

    json blocks(const std::vector<hub::Part>& parts)
    {
        json out = json::array();
        for (const auto& p : parts) {
            json b = block(p);
            if (b.is_null()) continue;
            if (p.kind != Kind::Thinking && p.kind != Kind::Sealed) mark(p, b);
            out.push_back(std::move(b));
        }
        return out;
    }

    json messages(const hub::Conversation& talk)
    {
        json out = json::array();
        for (const auto& turn : talk.turns) {
            const bool own = turn.role == hub::Role::Assistant;
            json content = blocks(turn.parts);
            if (content.empty()) continue;
            if (!out.empty() && out.back()["role"] == (own ? "assistant" : "user")) { // what stood between was empty
                for (auto& b : content) out.back()["content"].push_back(std::move(b));
                continue;
            }
            out.push_back({{"role", own ? "assistant" : "user"}, {"content", std::move(content)}});
        }
        if (!out.empty() && out.back()["role"] == "assistant") trim_end(out.back()["content"]);
        return out;
    }

    /// A prefill must not end in white space.
    static void trim_end(json& content)
    {
        auto& last = content.back();
        if (last["type"] != "text") return;
        auto text = last["text"].get<std::string>();
        text.erase(text.find_last_not_of(" \t\r\n") + 1);
        if (text.empty() && content.size() > 1)
            content.erase(content.size() - 1);
        else if (!text.empty())
            last["text"] = text;
    }

    void system(const hub::Conversation& talk, json& out)
    {
        json all = blocks(talk.system);
        if (format_.kind == hub::Format::Kind::Object) {
            all.push_back({{"type", "text"}, {"text", "Answer with one JSON object and nothing else."}});
            in_.lost.add("response_format");
        }
        if (!all.empty()) out["system"] = std::move(all);
    }

    void tools(json& out)
    {
        using Mode = hub::ToolChoice::Mode;
        json list = json::array();
        for (const auto& t : in_.tools()) {
            if (!choice_.among.empty() && std::find(choice_.among.begin(), choice_.among.end(), t.name) == choice_.among.end()) continue;
            json schema = t.schema.is_object() ? t.schema : json{{"type", "object"}, {"properties", json::object()}};
            if (!schema.contains("type")) schema["type"] = "object";
            json tool{{"name", t.name}, {"input_schema", std::move(schema)}};
            if (!t.description.empty()) tool["description"] = t.description;
            if (t.strict && model_.output_format && manner_.native_format)
                tool["strict"] = true;
            else if (t.strict)
                in_.lost.add("tools.strict");
            if (t.cache.is_object()) tool["cache_control"] = t.cache;
            list.push_back(std::move(tool));
        }
        if (by_tool_) {
            list.push_back({{"name", answer_tool}, {"description", "The answer, in the form that was asked for."}, {"input_schema", format_.schema}});
            if (list.size() == 1) choice_.mode = Mode::Named, choice_.name = answer_tool;
            else if (choice_.mode != Mode::Named) choice_.mode = Mode::Required;
        }
        if (list.empty()) return;
        out["tools"] = std::move(list);
        json choice;
        switch (choice_.mode) {
        case Mode::None: choice = {{"type", "none"}}; break;
        case Mode::Required: choice = {{"type", "any"}}; break;
        case Mode::Named: choice = {{"type", "tool"}, {"name", choice_.name}}; break;
        default:
            if (choice_.mode == Mode::Auto || choice_.sequential) choice = {{"type", "auto"}};
        }
        if (choice.is_null()) return;
        if (choice_.sequential && choice_.mode != Mode::None) choice["disable_parallel_tool_use"] = true;
        out["tool_choice"] = std::move(choice);
    }

    void limits(json& out)
    {
        const auto asked = in_.max_tokens(), most = rq_.model_output_tokens();
        auto limit = asked > 0 ? asked : most > 0 ? most : usual_max_tokens_;
        if (most > 0) limit = std::min(limit, most);
        out["max_tokens"] = limit;
        if (auto stops = in_.stops(8191); !stops.empty()) out["stop_sequences"] = stops;
    }

    /// A turn that is still under way, with calls in it, must begin with its own thinking.
    static bool thinking_was_lost(const hub::Conversation& talk)
    {
        const auto& turns = talk.turns;
        for (std::size_t i = turns.size(); i-- > 0;) {
            const auto& parts = turns[i].parts;
            const auto has = [&](Kind kind) { return std::any_of(parts.begin(), parts.end(), [&](const auto& p) { return p.kind == kind; }); };
            if (turns[i].role == hub::Role::User) {
                if (!has(Kind::Result)) return false; // a new question: nothing older must think
                continue;
            }
            const auto& first = parts.empty() ? hub::Part{} : parts.front();
            const bool kept = (first.kind == Kind::Thinking || first.kind == Kind::Sealed) && !first.signature.empty() && first.format == "anthropic-claude-v1";
            if (has(Kind::Call) && !kept) return true;
        }
        return false;
    }

    void thinking(const hub::Conversation& talk, json& out)
    {
        const auto asked = in_.reasoning();
        if (asked.off && model_.thinks && !model_.budgets) out["thinking"] = {{"type", "disabled"}};
        if (!asked.asked) return;
        using Mode = hub::ToolChoice::Mode;
        const bool forced = out.contains("tool_choice") && (choice_.mode == Mode::Required || choice_.mode == Mode::Named);
        const auto budget = std::min(hub::budget_of(asked, 60'000), out["max_tokens"].get<std::int64_t>() - 1);
        if (!model_.thinks || !manner_.thinking || forced || (model_.budgets && (budget < 1024 || thinking_was_lost(talk)))) {
            in_.lost.add(in_.take("reasoning").is_null() ? "reasoning_effort" : "reasoning");
            return;
        }
        if (model_.budgets)
            out["thinking"] = {{"type", "enabled"}, {"budget_tokens", budget}};
        else {
            out["thinking"] = {{"type", "adaptive"}};
            const auto effort = !asked.effort.empty() ? asked.effort : asked.budget <= 4096 ? "low" : asked.budget <= 12'000 ? "medium" : "high";
            out["output_config"]["effort"] = effort == "minimal" ? "low" : effort == "xhigh" && rq_.model().find("4-6") != std::string_view::npos ? "max" : effort;
        }
        if (!asked.hidden && !model_.budgets) out["thinking"]["display"] = "summarized";
    }

    void sampling(json& out)
    {
        auto temperature = in_.number({"temperature"}), top_p = in_.number({"top_p"}), top_k = in_.number({"top_k"});
        const bool thinks = out.contains("thinking") && out["thinking"]["type"] != "disabled";
        if (!temperature.is_null() && (!manner_.sampling || (thinks && temperature != 1))) temperature = {}, in_.lost.add("temperature");
        if (!temperature.is_null() && temperature.get<double>() > 1) temperature = 1, in_.lost.add("temperature"); // 0 to 2 there, 0 to 1 here
        const bool both = !temperature.is_null() && model_.one_of_temperature_and_top_p;
        if (!top_p.is_null() && (both || !manner_.sampling || (thinks && top_p.get<double>() < 0.95))) top_p = {}, in_.lost.add("top_p");
        if (!top_k.is_null() && thinks) top_k = {}, in_.lost.add("top_k");
        if (!temperature.is_null()) out["temperature"] = temperature;
        if (!top_p.is_null()) out["top_p"] = top_p;
        if (!top_k.is_null()) out["top_k"] = top_k;
    }

    void structure(json& out)
    {
        if (format_.kind == hub::Format::Kind::Schema && !by_tool_) out["output_config"]["format"] = {{"type", "json_schema"}, {"schema", format_.schema}};
    }

    void about_client(json& out)
    {
        if (const auto& user = in_.take("user"); user.is_string()) out["metadata"] = {{"user_id", user}};
        const auto& tier = in_.take("service_tier");
        if (tier == "auto" || tier == "priority") out["service_tier"] = "auto";
        else if (tier == "default") out["service_tier"] = "standard_only";
        else if (!tier.is_null()) in_.lost.add("service_tier");
        if (const auto& mark = in_.take("cache_control"); mark.is_object()) out["cache_control"] = mark;
    }

    /// Four breakpoints at most; the last ones reach furthest.
    void keep_four_marks(json& out)
    {
        std::vector<json*> marked;
        const auto visit = [&](json& list, auto&& self) -> void {
            if (!list.is_array()) return;
            for (auto& b : list) {
                if (b.contains("cache_control")) marked.push_back(&b);
                if (b.contains("content")) self(b["content"], self);
            }
        };
        for (const char* name : {"tools", "system", "messages"})
            if (out.contains(name)) visit(out[name], visit);
        const std::size_t most = out.contains("cache_control") ? 3 : 4;
        for (std::size_t i = 0; i + most < marked.size(); ++i) marked[i]->erase("cache_control"), in_.lost.add("cache_control");
    }

    hub::ChatBody in_;
    const portolan::Request& rq_;
    Model model_;
    std::int64_t usual_max_tokens_;
    Manner manner_;
    hub::Format format_;
    hub::ToolChoice choice_;
    bool by_tool_ = false;
};

} // namespace anthropic
