// Cohere's second API (https://docs.cohere.com/reference/chat): chat, embeddings, rerank, its list of models.
#include "../common/tools.hpp"
#include "../common/usage.hpp"

#include <map>

namespace {

using portolan::json;

/// Tokens as Cohere charges them: what it counts besides ("tokens") holds its own instructions too.
portolan_usage usage_of(const json& said)
{
    auto u = portolan::usage(hub::first_count(said, {"/billed_units/input_tokens", "/tokens/input_tokens"}),
                             hub::first_count(said, {"/billed_units/output_tokens", "/tokens/output_tokens"}));
    u.reasoning = hub::first_count(said, {"/tokens/reasoning_tokens"});
    u.searches = hub::first_count(said, {"/billed_units/search_units"});
    return u;
}

std::string_view reason_of(std::string_view said)
{
    if (said == "MAX_TOKENS" || said == "ERROR_LIMIT") return "length";
    if (said == "TOOL_CALL") return "tool_calls";
    return said == "ERROR_TOXIC" ? "content_filter" : "stop";
}

/// A chat request in Cohere's words.
class ChatRequest {
public:
    explicit ChatRequest(const portolan::Request& rq) : in_(rq.json())
    {
        hub::one_answer(rq, "Cohere");
        in_.lose_marks();
        out_["model"] = rq.model(), out_["stream"] = rq.stream();
        out_["messages"] = json::array();
        for (const auto& m : in_.take("messages")) message(m);
        limits();
        tools();
        format();
        thinking();
        for (const char* own : {"documents", "citation_options", "safety_mode", "connectors", "raw_prompting"}) // Cohere's own pass as they are
            if (const auto& v = in_.take(own); !v.is_null()) out_[own] = v;
    }
    void send(portolan::Http& http)
    {
        in_.told().tell(http);
        http.post("/v2/chat").auth("key").header("content-type", "application/json").body(out_.dump(-1, ' ', false, json::error_handler_t::replace));
    }

private:
    static json texts(const json& content, const char* what)
    {
        if (content.is_string()) return content;
        json parts = json::array();
        for (const auto& p : content.is_array() ? content : json::array()) {
            const auto type = portolan::text(p, "/type");
            if (type == "text" || type == "input_text" || type == "output_text")
                parts.push_back({{"type", "text"}, {"text", portolan::text(p, "/text")}});
            else if (type == "image_url" && std::string_view(what) == "user") {
                const auto& where = p.at("image_url");
                json image{{"url", where.is_string() ? where.get<std::string>() : portolan::text(where, "/url")}};
                if (const auto detail = portolan::text(where, "/detail"); !detail.empty()) image["detail"] = detail;
                parts.push_back({{"type", "image_url"}, {"image_url", std::move(image)}});
            } else
                throw portolan::Error(PORTOLAN_E_INVALID, "messages: Cohere takes no content of type \"" + type + "\" from " + what);
        }
        return parts;
    }

    void message(const json& m)
    {
        const auto role = portolan::text(m, "/role");
        const json none;
        const auto& content = m.contains("content") ? m["content"] : none;
        if (!portolan::text(m, "/name").empty() && role != "function") in_.lost.add("messages.name");
        if (role == "system" || role == "developer") return put("system", texts(content, "system"));
        if (role == "assistant") return assistant(m, content);
        if (role != "tool" && role != "function") return put("user", texts(content, "user"));
        json result{{"role", "tool"}, {"tool_call_id", portolan::text(m, "/tool_call_id")}, {"content", texts(content, "tool")}};
        if (result["content"] == "") result["content"] = " "; // an empty result is refused
        out_["messages"].push_back(std::move(result));
    }

    void put(const char* role, json content) { out_["messages"].push_back({{"role", role}, {"content", std::move(content)}}); }

    void assistant(const json& m, const json& content)
    {
        json said{{"role", "assistant"}};
        auto reasoning = portolan::text(m, "/reasoning_content");
        if (reasoning.empty()) reasoning = portolan::text(m, "/reasoning");
        json calls = json::array();
        for (const auto& c : portolan::at<json>(m, "/tool_calls", json::array())) {
            const auto function = portolan::at<json>(c, "/function", json::object());
            calls.push_back({{"id", portolan::text(c, "/id")}, {"type", "function"},
                             {"function", {{"name", portolan::text(function, "/name")}, {"arguments", hub::arguments_of(function.value("arguments", json())).dump()}}}});
        }
        if (!calls.empty()) {
            auto plan = reasoning;
            const auto text = texts(content, "assistant");
            if (text.is_string() && text != "") plan = text;
            if (!plan.empty()) said["tool_plan"] = plan;
            said["tool_calls"] = std::move(calls);
        } else if (!reasoning.empty()) {
            json parts = json::array({{{"type", "thinking"}, {"thinking", reasoning}}});
            const auto text = texts(content, "assistant");
            if (text.is_string()) parts.push_back({{"type", "text"}, {"text", text}});
            for (const auto& p : text.is_array() ? text : json::array()) parts.push_back(p);
            said["content"] = std::move(parts);
        } else
            said["content"] = texts(content, "assistant");
        out_["messages"].push_back(std::move(said));
    }

    void copy(const char* from, const char* to)
    {
        if (const auto& v = in_.take(from); v.is_number()) out_[to] = v;
    }

    void limits()
    {
        if (const auto most = in_.max_tokens(); most > 0) out_["max_tokens"] = most;
        copy("temperature", "temperature"), copy("top_p", "p"), copy("top_k", "k"), copy("seed", "seed");
        copy("frequency_penalty", "frequency_penalty"), copy("presence_penalty", "presence_penalty");
        if (const auto stops = in_.stops(5); !stops.empty()) out_["stop_sequences"] = stops;
        if (in_.take("logprobs") == true) out_["logprobs"] = true;
        in_.take("top_logprobs");
    }

    void tools()
    {
        bool strict = false;
        const auto choice = in_.tool_choice();
        json list = json::array();
        for (const auto& t : in_.tools()) {
            if (choice.mode == hub::ToolChoice::Mode::Named && t.name != choice.name) continue; // the one that must be called is the only one there is
            json f{{"name", t.name}, {"parameters", t.schema.is_null() ? json{{"type", "object"}, {"properties", json::object()}} : t.schema}};
            if (!t.description.empty()) f["description"] = t.description;
            strict = strict || t.strict;
            list.push_back({{"type", "function"}, {"function", std::move(f)}});
        }
        if (list.empty()) return;
        out_["tools"] = std::move(list);
        if (strict) out_["strict_tools"] = true;
        if (choice.mode == hub::ToolChoice::Mode::Required || choice.mode == hub::ToolChoice::Mode::Named) out_["tool_choice"] = "REQUIRED";
        if (choice.mode == hub::ToolChoice::Mode::None) out_["tool_choice"] = "NONE";
        if (choice.sequential) in_.lost.add("parallel_tool_calls");
    }

    void format()
    {
        const auto f = in_.format();
        if (f.kind == hub::Format::Kind::Text) return;
        out_["response_format"] = {{"type", "json_object"}};
        if (f.kind == hub::Format::Kind::Schema) out_["response_format"]["schema"] = f.schema;
    }

    void thinking()
    {
        const auto r = in_.reasoning();
        if (r.off) out_["thinking"] = {{"type", "disabled"}};
        if (!r.asked) return;
        out_["thinking"] = {{"type", "enabled"}};
        if (r.budget > 0) out_["thinking"]["token_budget"] = r.budget;
        else if (r.effort != "medium") out_["thinking"]["token_budget"] = hub::budget_of(r, 32768);
    }

    hub::ChatBody in_;
    json out_;
};

/// What comes back from /v2/chat, whole or as events.
class ChatReply {
public:
    void whole(const json& j, portolan::Events& out)
    {
        out.start(portolan::text(j, "/id"), {});
        const auto message = portolan::at<json>(j, "/message", json::object());
        for (const auto& part : portolan::at<json>(message, "/content", json::array())) {
            if (part.contains("thinking")) out.reasoning(portolan::text(part, "/thinking"));
            if (part.contains("text")) out.text(portolan::text(part, "/text"));
        }
        if (const auto plan = portolan::text(message, "/tool_plan"); !plan.empty()) out.reasoning(plan);
        unsigned index = 0;
        for (const auto& call : portolan::at<json>(message, "/tool_calls", json::array())) {
            out.tool_begin(index, portolan::text(call, "/id"), portolan::text(call, "/function/name"));
            out.tool_args(index++, arguments(portolan::text(call, "/function/arguments")));
        }
        const auto citations = portolan::at<json>(message, "/citations", json::array());
        if (!citations.empty()) out.extra(json{{"citations", citations}}.dump());
        end(j, out);
    }

    void event(const json& j, portolan::Events& out)
    {
        const auto type = portolan::text(j, "/type");
        const auto message = portolan::at<json>(j, "/delta/message", json::object());
        const auto index = portolan::count(j, "/index");
        if (type == "message-start") out.start(portolan::text(j, "/id"), {});
        if (type == "content-start" || type == "content-delta") {
            if (const auto t = portolan::text(message, "/content/thinking"); !t.empty()) out.reasoning(t);
            if (const auto t = portolan::text(message, "/content/text"); !t.empty()) out.text(t);
        }
        if (const auto plan = portolan::text(message, "/tool_plan"); type == "tool-plan-delta" && !plan.empty()) out.reasoning(plan);
        if (type == "tool-call-start") {
            const auto own = calls_.emplace(index, unsigned(calls_.size())).first->second; // numbered from 0, whatever is said
            out.tool_begin(own, portolan::text(message, "/tool_calls/id"), portolan::text(message, "/tool_calls/function/name"));
        }
        if (type == "tool-call-start" || type == "tool-call-delta")
            if (const auto piece = portolan::text(message, "/tool_calls/function/arguments"); !piece.empty() && piece != "null") {
                const auto begun = calls_.find(index);
                if (begun == calls_.end()) throw std::runtime_error("arguments of a tool call that was not begun");
                out.tool_args(begun->second, piece);
            }
        if (type == "citation-start") citations_.push_back(portolan::at<json>(message, "/citations"));
        if (type == "message-end") {
            if (!citations_.empty()) out.extra(json{{"citations", std::exchange(citations_, json::array())}}.dump());
            end(portolan::at<json>(j, "/delta", json::object()), out);
        }
    }

private:
    /// "null" is how it says that a tool has none.
    static std::string arguments(std::string said) { return said == "null" || said.empty() ? "{}" : said; }

    static void end(const json& j, portolan::Events& out)
    {
        if (j.contains("usage")) out.usage(usage_of(j["usage"]));
        const auto reason = portolan::text(j, "/finish_reason");
        if (reason == "ERROR" || reason == "TIMEOUT") {
            const auto said = portolan::text(j, "/error");
            return out.fault(PORTOLAN_FAULT_SERVER, said.empty() ? "Cohere ended the answer with " + reason + "." : said);
        }
        out.finish(reason_of(reason));
    }

    json citations_ = json::array();
    std::map<std::int64_t, unsigned> calls_; ///< Cohere's number, ours
};

class Exchange : public portolan::Exchange {
public:
    explicit Exchange(const portolan::Request& rq) : op_(rq.op()), model_(rq.model()) {}

    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        if (op_ == PORTOLAN_OP_CHAT) return ChatRequest(rq).send(out);
        out.auth("key");
        if (op_ == PORTOLAN_OP_EMBEDDINGS) return embed(rq, out);
        if (op_ == PORTOLAN_OP_RERANK)
            out.post("/v2/rerank").edit("/model", portolan::quoted(rq.model()));
        else
            out.get("/v1/models?page_size=1000");
    }

    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        const auto blank = f.data().find_first_not_of(" \t\r\n");
        if (blank == f.data().npos || f.data().substr(blank).starts_with("[DONE]")) return;
        const auto j = portolan::parse(f.data());
        switch (op_) {
        case PORTOLAN_OP_CHAT: return f.whole() ? reply_.whole(j, out) : reply_.event(j, out);
        case PORTOLAN_OP_EMBEDDINGS: return vectors(j, out);
        case PORTOLAN_OP_MODELS: return models(j, out);
        case PORTOLAN_OP_RERANK:
            out.result(f.data());
            out.usage(usage_of(portolan::at<json>(j, "/meta", json::object())));
            return;
        default: return out.result(f.data());
        }
    }

private:
    void embed(const portolan::Request& rq, portolan::Http& out)
    {
        const auto in = json::parse(rq.json());
        json body{{"model", rq.model()}, {"embedding_types", {"float"}}, {"input_type", in.value("input_type", json("search_document"))}};
        const auto& input = in.at("input");
        body["texts"] = input.is_string() ? json::array({input}) : input;
        for (const auto& text : body["texts"])
            if (!text.is_string()) throw portolan::Error(PORTOLAN_E_INVALID, "input: Cohere embeds texts, not tokens");
        if (in.contains("dimensions")) body["output_dimension"] = in["dimensions"];
        if (in.contains("truncate")) body["truncate"] = in["truncate"];
        out.post("/v2/embed").header("content-type", "application/json").body(body.dump(-1, ' ', false, json::error_handler_t::replace));
    }

    void vectors(const json& j, portolan::Events& out) const
    {
        json data = json::array();
        const auto& all = j.at("embeddings");
        for (const auto& vector : all.is_array() ? all : all.at("float")) data.push_back({{"object", "embedding"}, {"index", data.size()}, {"embedding", vector}});
        const auto tokens = std::max<std::int64_t>(0, hub::first_count(j, {"/meta/billed_units/input_tokens"}));
        out.result(json{{"object", "list"}, {"model", model_}, {"data", std::move(data)}, {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}}.dump());
    }

    static void models(const json& j, portolan::Events& out)
    {
        json data = json::array();
        for (const auto& m : j.at("models")) {
            json one{{"id", m.at("name")}, {"object", "model"}, {"owned_by", "cohere"}};
            if (const auto context = portolan::count(m, "/context_length"); context > 0) one["context_length"] = context;
            data.push_back(std::move(one));
        }
        out.result(json{{"object", "list"}, {"data", std::move(data)}}.dump());
    }

    std::int32_t op_;
    std::string model_;
    ChatReply reply_;
};

class Cohere : public portolan::Provider {
public:
    explicit Cohere(const portolan::Config&) {}
    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override { return std::make_unique<Exchange>(rq); }
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.cohere","version":"0.1.0","license":"Apache-2.0","components":{"cohere":{
  "kind":"portolan.provider/1","title":"Cohere","streams":true,
  "ops":{"chat":{"translates":["openai"]},"embeddings":{"translates":["openai"]},"rerank":{"translates":["openai"]},"models":{},"health":{}},
  "auth":{"key":{"scheme":"bearer"}},"base_url":"https://api.cohere.com",
  "config":{"type":"object","properties":{"base_url":{"type":"string","format":"uri","title":"Base URL"}}}}}})",
    portolan::component<Cohere>("cohere"))
