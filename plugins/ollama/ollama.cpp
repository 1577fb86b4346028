// Ollama's own API (https://docs.ollama.com/api): newline-delimited JSON, arguments as objects, pictures inline.
#include "../common/tools.hpp"
#include "../common/think.hpp"
#include "../common/usage.hpp"

namespace {

using portolan::json;

/// What the answer is shaped by; "options" in Ollama's words.
void add_options(hub::ChatBody& in, json& out)
{
    json options = in.take("options").is_object() ? in.take("options") : json::object();
    const auto copy = [&](const char* from, const char* to) {
        if (const auto& v = in.take(from); v.is_number()) options[to] = v;
    };
    copy("temperature", "temperature"), copy("top_p", "top_p"), copy("top_k", "top_k"), copy("min_p", "min_p"), copy("seed", "seed");
    copy("frequency_penalty", "frequency_penalty"), copy("presence_penalty", "presence_penalty"), copy("repetition_penalty", "repeat_penalty");
    copy("num_ctx", "num_ctx");
    if (const auto most = in.max_tokens(); most > 0) options["num_predict"] = most;
    if (const auto stops = in.stops(64); !stops.empty()) options["stop"] = stops;
    if (!options.empty()) out["options"] = std::move(options);
    if (const auto& keep = in.take("keep_alive"); !keep.is_null()) out["keep_alive"] = keep;
}

class ChatRequest {
public:
    explicit ChatRequest(const portolan::Request& rq) : in_(rq.json())
    {
        hub::one_answer(rq, "Ollama");
        in_.lose_marks();
        out_ = {{"model", rq.model()}, {"stream", rq.stream()}, {"messages", json::array()}};
        for (const auto& m : in_.take("messages")) message(m);
        add_options(in_, out_);
        tools();
        const auto format = in_.format();
        if (format.kind == hub::Format::Kind::Object) out_["format"] = "json";
        if (format.kind == hub::Format::Kind::Schema) out_["format"] = format.schema;
        const auto r = in_.reasoning();
        const bool levels = rq.model().find("gpt-oss") != rq.model().npos; // the only models that think by level
        if (r.off) out_["think"] = false;
        if (r.asked) out_["think"] = levels && (r.effort == "low" || r.effort == "medium" || r.effort == "high") ? json(r.effort) : json(true);
    }
    void send(portolan::Http& http)
    {
        in_.told().tell(http);
        http.post("/api/chat").header("content-type", "application/json").body(out_.dump(-1, ' ', false, json::error_handler_t::replace));
    }

private:
    /// Texts joined, pictures aside: they go into a list of their own, as base64 without any type.
    void content(const json& from, json& to)
    {
        std::string text;
        for (const auto& p : from.is_array() ? from : json::array()) {
            const auto type = portolan::text(p, "/type");
            if (type == "text" || type == "input_text" || type == "output_text") {
                text += (text.empty() ? "" : "\n") + portolan::text(p, "/text");
            } else if (type == "image_url") {
                const auto& where = p.at("image_url");
                const auto media = hub::media_at(where.is_string() ? where.get<std::string>() : portolan::text(where, "/url"));
                if (!media.here()) throw portolan::Error(PORTOLAN_E_INVALID, "messages: Ollama takes images as data URLs only");
                to["images"].push_back(media.data);
            } else
                throw portolan::Error(PORTOLAN_E_INVALID, "messages: Ollama takes no content of type \"" + type + "\"");
        }
        to["content"] = from.is_string() ? from.get<std::string>() : text;
    }

    void message(const json& m)
    {
        auto role = portolan::text(m, "/role");
        if (role == "developer") role = "system";
        if (role == "function") role = "tool";
        json said{{"role", role}};
        content(m.contains("content") ? m["content"] : json(), said);
        if (const auto name = portolan::text(m, "/name"); !name.empty() && role != "tool") in_.lost.add("messages.name");
        auto reasoning = portolan::text(m, "/reasoning_content");
        if (reasoning.empty()) reasoning = portolan::text(m, "/reasoning");
        if (role == "assistant" && !reasoning.empty()) said["thinking"] = reasoning;
        if (role == "assistant" && m.contains("tool_calls") && m["tool_calls"].is_array())
            for (const auto& c : m["tool_calls"]) {
                const auto name = portolan::text(c, "/function/name");
                names_[portolan::text(c, "/id")] = name;
                said["tool_calls"].push_back({{"function", {{"name", name}, {"arguments", hub::arguments_of(portolan::at<json>(c, "/function/arguments"))}}}});
            }
        if (role == "tool") { // matched by name: there are no ids in this API's requests
            const auto call = names_.find(portolan::text(m, "/tool_call_id"));
            const auto name = call != names_.end() ? call->second : portolan::text(m, "/name");
            if (!name.empty()) said["tool_name"] = name;
        }
        out_["messages"].push_back(std::move(said));
    }

    void tools()
    {
        const auto choice = in_.tool_choice();
        for (const auto& t : in_.tools()) {
            if (choice.mode == hub::ToolChoice::Mode::None) continue;
            json f{{"name", t.name}, {"description", t.description}};
            f["parameters"] = t.schema.is_null() ? json{{"type", "object"}, {"properties", json::object()}} : t.schema;
            out_["tools"].push_back({{"type", "function"}, {"function", std::move(f)}});
        }
        if (choice.mode == hub::ToolChoice::Mode::Required || choice.mode == hub::ToolChoice::Mode::Named) in_.lost.add("tool_choice");
        if (choice.sequential) in_.lost.add("parallel_tool_calls");
    }

    hub::ChatBody in_;
    json out_;
    std::map<std::string, std::string> names_;
};

class Exchange : public portolan::Exchange {
public:
    explicit Exchange(const portolan::Request& rq, bool think_tags) : op_(rq.op()), model_(rq.model()), think_tags_(think_tags) {}

    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        out.auth("key");
        // an older server does not say what it sends
        out.framing(rq.stream() && (op_ == PORTOLAN_OP_CHAT || op_ == PORTOLAN_OP_COMPLETIONS) ? PORTOLAN_FRAME_LINE : PORTOLAN_FRAME_WHOLE);
        switch (op_) {
        case PORTOLAN_OP_CHAT: return ChatRequest(rq).send(out);
        case PORTOLAN_OP_COMPLETIONS: return generate(rq, out);
        case PORTOLAN_OP_EMBEDDINGS: return embed(rq, out);
        default: out.get("/api/tags");
        }
    }

    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        if (f.data().find_first_not_of(" \t\r\n") == f.data().npos) return;
        const auto j = portolan::parse(f.data());
        if (j.contains("error")) return out.fault(PORTOLAN_FAULT_SERVER, portolan::text(j, "/error"));
        if (op_ == PORTOLAN_OP_EMBEDDINGS) return vectors(j, out);
        if (op_ == PORTOLAN_OP_MODELS) return models(j, out);
        if (op_ == PORTOLAN_OP_HEALTH) return out.result(f.data());
        answer(j, out);
    }

private:
    void generate(const portolan::Request& rq, portolan::Http& out)
    {
        auto text = json::parse(rq.json());
        const auto prompt = text.at("prompt");
        if (!prompt.is_string()) throw portolan::Error(PORTOLAN_E_INVALID, "prompt: Ollama completes one text at a time");
        text["messages"] = json::array(); // what a completion has besides its prompt is what a chat has
        hub::ChatBody in(text.dump());
        json body{{"model", rq.model()}, {"stream", rq.stream()}, {"prompt", prompt}};
        in.take("prompt");
        if (const auto& suffix = in.take("suffix"); suffix.is_string()) body["suffix"] = suffix;
        add_options(in, body);
        in.told().tell(out);
        out.post("/api/generate").header("content-type", "application/json").body(body.dump(-1, ' ', false, json::error_handler_t::replace));
    }

    static void embed(const portolan::Request& rq, portolan::Http& out)
    {
        const auto in = json::parse(rq.json());
        json body{{"model", rq.model()}, {"input", in.at("input")}};
        for (const auto& text : body["input"].is_array() ? body["input"] : json::array())
            if (!text.is_string()) throw portolan::Error(PORTOLAN_E_INVALID, "input: Ollama embeds texts, not tokens");
        if (in.contains("dimensions")) body["dimensions"] = in["dimensions"];
        if (in.contains("keep_alive")) body["keep_alive"] = in["keep_alive"];
        out.post("/api/embed").header("content-type", "application/json").body(body.dump(-1, ' ', false, json::error_handler_t::replace));
    }

    void answer(const json& j, portolan::Events& out)
    {
        const auto to_text = [&](std::string_view s) { out.text(s); };
        const auto to_reasoning = [&](std::string_view s) { out.reasoning(s); };
        if (!std::exchange(started_, true)) out.start({}, portolan::text(j, "/model"));
        if (const auto thought = portolan::text(j, "/message/thinking"); !thought.empty()) out.reasoning(thought);
        const auto text = portolan::text(j, op_ == PORTOLAN_OP_CHAT ? "/message/content" : "/response");
        if (think_tags_ && op_ == PORTOLAN_OP_CHAT)
            splitter_.add(text, to_text, to_reasoning);
        else if (!text.empty())
            out.text(text);
        for (const auto& call : portolan::at<json>(j, "/message/tool_calls", json::array())) { // each whole in one piece
            out.tool_begin(calls_, portolan::text(call, "/id"), portolan::text(call, "/function/name"));
            out.tool_args(calls_++, portolan::at<json>(call, "/function/arguments", json::object()).dump());
        }
        if (!portolan::at<bool>(j, "/done")) return;
        if (think_tags_) splitter_.end(to_text, to_reasoning);
        const auto usage = portolan::usage(portolan::count(j, "/prompt_eval_count"), portolan::count(j, "/eval_count"));
        if (hub::said(usage)) out.usage(usage);
        out.finish(portolan::text(j, "/done_reason") == "length" ? "length" : calls_ ? "tool_calls" : "stop");
    }

    void vectors(const json& j, portolan::Events& out) const
    {
        json data = json::array();
        for (const auto& vector : j.at("embeddings")) data.push_back({{"object", "embedding"}, {"index", data.size()}, {"embedding", vector}});
        const auto tokens = std::max<std::int64_t>(0, portolan::count(j, "/prompt_eval_count"));
        out.result(json{{"object", "list"}, {"model", model_}, {"data", std::move(data)}, {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}}.dump());
    }

    static void models(const json& j, portolan::Events& out)
    {
        json data = json::array();
        for (const auto& m : j.at("models")) data.push_back({{"id", m.contains("model") ? m["model"] : m.at("name")}, {"object", "model"}, {"owned_by", "ollama"}});
        out.result(json{{"object", "list"}, {"data", std::move(data)}}.dump());
    }

    std::int32_t op_;
    std::string model_;
    bool think_tags_, started_ = false;
    unsigned calls_ = 0;
    hub::ThinkSplitter splitter_;
};

class Ollama : public portolan::Provider {
public:
    explicit Ollama(const portolan::Config& c)
    {
        const auto settings = json::parse(c.json);
        think_tags_ = settings.value("think_tags", true);
        const std::string_view base = settings.contains("base_url") ? settings["base_url"].get_ref<const std::string&>() : std::string_view();
        if (base.ends_with("/v1") || base.ends_with("/v1/") || base.ends_with("/api"))
            throw portolan::Error(PORTOLAN_E_INVALID, "base_url: this is Ollama's own API, so without /v1 and /api (for the other one: type openai-compatible)");
    }
    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        return std::make_unique<Exchange>(rq, think_tags_);
    }

private:
    bool think_tags_ = true;
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.ollama","version":"0.1.0","license":"Apache-2.0","components":{"ollama":{
  "kind":"portolan.provider/1","title":"Ollama","streams":true,
  "ops":{"chat":{"translates":["openai"]},"completions":{"translates":["openai"]},"embeddings":{"translates":["openai"]},"models":{},"health":{}},
  "auth":{"key":{"scheme":"bearer"}},"base_url":"http://127.0.0.1:11434",
  "config":{"type":"object","properties":{"base_url":{"type":"string","format":"uri","title":"Base URL","description":"without /v1 or /api"},
    "think_tags":{"type":"boolean","default":true,"title":"Reasoning in <think> tags","description":"a <think> block at the beginning of an answer is its reasoning"}}}}}})",
    portolan::component<Ollama>("ollama"))
