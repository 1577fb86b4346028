// An OpenAI chat request as a Converse request (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
#pragma once

#include "../common/tools.hpp"

namespace bedrock {

using hub::Kind;
using portolan::json;

/// How this exchange asks; changed when an upstream refuses something.
struct Manner {
    bool native_format = true; ///< json_schema as outputConfig, else as a tool that must be called
    bool thinking = true;
};

constexpr std::string_view answer_tool = "json_answer"; ///< the tool whose input is a structured answer

class RequestWriter {
public:
    RequestWriter(std::string_view text, const portolan::Request& rq, Manner manner)
        : in_(text), rq_(rq), claude_(rq.model().find("anthropic") != std::string_view::npos || rq.model().find("claude") != std::string_view::npos), manner_(manner)
    {
        hub::one_answer(rq, "Bedrock");
    }

    json write()
    {
        format_ = in_.format();
        by_tool_ = format_.kind == hub::Format::Kind::Schema && !manner_.native_format;
        const auto talk = in_.conversation();
        json out{{"messages", messages(talk)}};
        if (out["messages"].empty()) throw portolan::Error(PORTOLAN_E_INVALID, "messages: Bedrock needs at least one user message");
        system(talk, out);
        tools(talk, out);
        json config = json::object();
        limits(config);
        thinking(out, config);
        if (!config.empty()) out["inferenceConfig"] = std::move(config);
        if (format_.kind == hub::Format::Kind::Schema && !by_tool_)
            out["outputConfig"] = {{"textFormat", {{"type", "json_schema"},
                                                   {"structure", {{"jsonSchema", {{"name", format_.name.empty() ? "answer" : format_.name}, {"schema", format_.schema.dump()}}}}}}}};
        const auto& tier = in_.take("service_tier");
        if (tier == "default" || tier == "priority" || tier == "flex") out["serviceTier"] = {{"type", tier}};
        else if (!tier.is_null() && tier != "auto") in_.lost.add("service_tier");
        in_.take("user");
        for (const char* own : {"guardrailConfig", "additionalModelRequestFields", "requestMetadata", "performanceConfig"}) // Converse's own members
            if (const auto& v = in_.take(own); v.is_object()) for (const auto& [name, value] : v.items()) out[own][name] = value;
        return out;
    }
    const hub::Lost& lost() { return in_.told(); }
    [[nodiscard]] bool by_tool() const noexcept { return by_tool_; }

private:
    static std::string ending(const std::string& type)
    {
        auto end = type.substr(type.find('/') + 1);
        if (end == "plain") return "txt";
        if (end == "markdown") return "md";
        if (end == "msword") return "doc";
        if (end == "vnd.ms-excel") return "xls";
        if (end.ends_with("wordprocessingml.document")) return "docx";
        if (end.ends_with("spreadsheetml.sheet")) return "xlsx";
        if (end == "x-matroska") return "mkv";
        if (end == "quicktime") return "mov";
        if (end == "3gpp") return "three_gp";
        if (type == "audio/mpeg") return "mp3";
        if (type == "audio/mp4") return "m4a";
        return end;
    }

    json source(const hub::Media& m) const
    {
        if (m.here()) return {{"bytes", m.data}};
        if (m.url.starts_with("s3://")) return {{"s3Location", {{"uri", m.url}}}};
        throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "messages: Bedrock takes the bytes of a file (a data URL) or an s3:// address, no other URL");
    }

    static json mark(const json& cache)
    {
        json point{{"type", "default"}};
        if (cache.contains("ttl")) point["ttl"] = cache["ttl"];
        return {{"cachePoint", std::move(point)}};
    }

    /// `inside` of a result no mark may stand: it stands behind the result then.
    void append(const hub::Part& p, json& to, bool inside = false)
    {
        const auto before = to.size();
        switch (p.kind) {
        case Kind::Text:
        case Kind::Refusal:
            if (p.text.find_first_not_of(" \t\r\n") != std::string::npos) to.push_back({{"text", p.text}}); // blank ones are refused
            break;
        case Kind::Image: to.push_back({{"image", {{"format", ending(p.media.type)}, {"source", source(p.media)}}}}); break;
        case Kind::Video: to.push_back({{"video", {{"format", ending(p.media.type)}, {"source", source(p.media)}}}}); break;
        case Kind::Audio: to.push_back({{"audio", {{"format", ending(p.media.type)}, {"source", source(p.media)}}}}); break;
        case Kind::File: // names steer models, so they are neutral, and of few characters
            to.push_back({{"document", {{"format", ending(p.media.type)}, {"name", "document-" + std::to_string(++documents_)}, {"source", source(p.media)}}}});
            break;
        case Kind::Call: to.push_back({{"toolUse", {{"toolUseId", hub::call_id(p.id)}, {"name", p.name}, {"input", p.arguments}}}}); break;
        case Kind::Result: to.push_back({{"toolResult", result(p)}}); break;
        case Kind::Thinking:
            if (!p.signature.empty() && (p.format.empty() || p.format == "anthropic-claude-v1"))
                to.push_back({{"reasoningContent", {{"reasoningText", {{"text", p.text}, {"signature", p.signature}}}}}});
            break;
        case Kind::Sealed:
            if (p.format == "anthropic-claude-v1") to.push_back({{"reasoningContent", {{"redactedContent", p.signature}}}});
            break;
        default: break;
        }
        const bool markable = p.kind != Kind::Thinking && p.kind != Kind::Sealed && to.size() > before;
        const json* cache = &p.cache;
        for (const auto& c : p.content)
            if (c.cache.is_object()) cache = &c.cache;
        if (inside || !cache->is_object()) return;
        if (markable && ++marks_ <= 4) to.push_back(mark(*cache));
        else in_.lost.add("cache_control");
    }

    json result(const hub::Part& p)
    {
        json content = json::array();
        for (const auto& c : p.content) append(c, content, true);
        if (content.empty()) content.push_back({{"text", "(empty)"}}); // an empty list is refused
        json out{{"toolUseId", hub::call_id(p.id)}, {"content", std::move(content)}};
        if (p.error) out["status"] = "error";
        return out;
    }

    json messages(const hub::Conversation& talk)
    {
        json out = json::array();
        for (const auto& turn : talk.turns) {
            const char* role = turn.role == hub::Role::Assistant ? "assistant" : "user";
            json content = json::array();
            for (const auto& p : turn.parts) append(p, content);
            if (content.empty()) continue;
            if (out.empty() && turn.role == hub::Role::Assistant) out.push_back({{"role", "user"}, {"content", {{{"text", "Continue."}}}}});
            if (!out.empty() && out.back()["role"] == role)
                for (auto& c : content) out.back()["content"].push_back(std::move(c));
            else
                out.push_back({{"role", role}, {"content", std::move(content)}});
        }
        return out;
    }

    void system(const hub::Conversation& talk, json& out)
    {
        json all = json::array();
        for (const auto& p : talk.system) append(p, all);
        if (format_.kind == hub::Format::Kind::Object) {
            all.push_back({{"text", "Answer with one JSON object and nothing else."}});
            in_.lost.add("response_format");
        }
        if (!all.empty()) out["system"] = std::move(all);
    }

    static bool has_calls(const hub::Conversation& talk)
    {
        for (const auto& turn : talk.turns)
            for (const auto& p : turn.parts)
                if (p.kind == Kind::Call || p.kind == Kind::Result) return true;
        return false;
    }

    void tools(const hub::Conversation& talk, json& out)
    {
        using Mode = hub::ToolChoice::Mode;
        auto choice = in_.tool_choice();
        if (choice.sequential) in_.lost.add("parallel_tool_calls");
        json list = json::array();
        const auto known = in_.tools();
        for (const auto& t : known) {
            if (!choice.among.empty() && std::find(choice.among.begin(), choice.among.end(), t.name) == choice.among.end()) continue;
            json schema = t.schema.is_object() ? t.schema : json{{"type", "object"}, {"properties", json::object()}};
            if (!schema.contains("type")) schema["type"] = "object";
            json spec{{"name", t.name}, {"inputSchema", {{"json", std::move(schema)}}}};
            if (!t.description.empty()) spec["description"] = t.description;
            if (t.strict) in_.lost.add("tools.strict");
            list.push_back({{"toolSpec", std::move(spec)}});
            if (t.cache.is_object()) list.push_back(mark(t.cache));
        }
        if (choice.mode == Mode::None) { // there is no such choice; past calls need the tools all the same
            if (!has_calls(talk)) list = json::array();
            else if (!list.empty()) in_.lost.add("tool_choice");
        }
        if (by_tool_) {
            list.push_back({{"toolSpec", {{"name", answer_tool}, {"description", "The answer, in the form that was asked for."}, {"inputSchema", {{"json", format_.schema}}}}}});
            if (list.size() == 1) choice.mode = Mode::Named, choice.name = answer_tool;
            else if (choice.mode != Mode::Named) choice.mode = Mode::Required;
        }
        if (list.empty()) return;
        out["toolConfig"]["tools"] = std::move(list);
        if (choice.mode == Mode::Required) out["toolConfig"]["toolChoice"] = {{"any", json::object()}};
        if (choice.mode == Mode::Named) out["toolConfig"]["toolChoice"] = {{"tool", {{"name", choice.name}}}};
        if (choice.mode == Mode::Auto) out["toolConfig"]["toolChoice"] = {{"auto", json::object()}};
        forced_ = choice.mode == Mode::Required || choice.mode == Mode::Named;
    }

    void limits(json& config)
    {
        if (const auto most = in_.max_tokens(); most > 0)
            config["maxTokens"] = rq_.model_output_tokens() > 0 ? std::min(most, rq_.model_output_tokens()) : most;
        if (auto stops = in_.stops(4); !stops.empty()) config["stopSequences"] = stops;
        const auto temperature = in_.number({"temperature"}), top_p = in_.number({"top_p"});
        if (!temperature.is_null() && temperature.get<double>() > 1) in_.lost.add("temperature");
        if (!temperature.is_null()) config["temperature"] = temperature.get<double>() > 1 ? json(1) : temperature;
        if (!top_p.is_null()) config["topP"] = top_p;
    }

    /// What Converse has no member for goes to the model as its maker calls it.
    void thinking(json& out, json& config)
    {
        json more = json::object();
        const auto model = rq_.model();
        const auto has = [&](std::string_view word) { return model.find(word) != model.npos; };
        if (const auto k = in_.number({"top_k"}); !k.is_null()) {
            if (claude_) more["top_k"] = k;
            else if (has("amazon.nova")) more["inferenceConfig"] = {{"topK", k}};
            else in_.lost.add("top_k");
        }
        const auto asked = in_.reasoning();
        const bool wanted = asked.asked && manner_.thinking;
        if (wanted && claude_ && !forced_) {
            const auto limit = config.contains("maxTokens") ? config["maxTokens"].get<std::int64_t>() : std::int64_t{65'536};
            const auto budget = std::min(hub::budget_of(asked, 60'000), limit - 1);
            if (budget >= 1024) {
                more["thinking"] = {{"type", "enabled"}, {"budget_tokens", budget}};
                if (!config.contains("maxTokens")) config["maxTokens"] = rq_.model_output_tokens() > budget ? rq_.model_output_tokens() : budget + 4096;
                for (const char* name : {"temperature", "topP"})
                    if (config.contains(name)) config.erase(name), in_.lost.add(name == std::string_view("topP") ? "top_p" : name);
                if (more.contains("top_k")) more.erase("top_k"), in_.lost.add("top_k");
            } else
                in_.lost.add("reasoning_effort");
        } else if (wanted && has("nova-2"))
            more["reasoningConfig"] = {{"type", "enabled"}, {"maxReasoningEffort", asked.effort == "low" || asked.effort == "minimal" ? "low" : asked.effort == "medium" ? "medium" : "high"}};
        else if (wanted && has("gpt-oss") && !asked.effort.empty())
            more["reasoning_effort"] = asked.effort;
        else if (asked.asked)
            in_.lost.add("reasoning_effort");
        if (!more.empty()) out["additionalModelRequestFields"] = std::move(more);
    }

    hub::ChatBody in_;
    const portolan::Request& rq_;
    bool claude_;
    Manner manner_;
    hub::Format format_;
    bool by_tool_ = false, forced_ = false;
    int documents_ = 0, marks_ = 0;
};

} // namespace bedrock
