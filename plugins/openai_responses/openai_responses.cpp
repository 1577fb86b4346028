// OpenAI's Responses API for whoever asks in chat; who asks in Responses is relayed, and so is everything else that OpenAI's API offers.
// https://platform.openai.com/docs/api-reference/responses
#include "../common/openai_exchange.hpp"
#include "../common/tools.hpp"

namespace {

using portolan::json;

using hub::openai::own_format;

/// A chat request as a stateless response.
class ResponseRequest {
public:
    explicit ResponseRequest(const portolan::Request& rq) : in_(rq.json())
    {
        hub::one_answer(rq, "the Responses API");
        in_.lose_marks();
        out_ = {{"model", rq.model()}, {"stream", rq.stream()}, {"store", false}, {"input", json::array()}};
        for (const auto& m : in_.take("messages")) message(m);
        if (const auto most = in_.max_tokens(); most > 0) out_["max_output_tokens"] = std::max<std::int64_t>(most, 16); // the least that is taken
        for (const char* name : {"temperature", "top_p", "top_logprobs", "user", "metadata", "service_tier", "prompt_cache_key", "safety_identifier"})
            if (const auto& v = in_.take(name); !v.is_null()) out_[name] = v;
        if (in_.take("logprobs") == true) out_["include"].push_back("message.output_text.logprobs");
        tools();
        format();
        reasoning();
    }
    void send(std::string_view path, std::string_view auth, portolan::Http& http)
    {
        in_.told().tell(http);
        http.post(path);
        if (!auth.empty()) http.auth(auth);
        http.header("content-type", "application/json").body(out_.dump(-1, ' ', false, json::error_handler_t::replace));
    }

private:
    static json part(const json& p, bool said)
    {
        const auto type = p.is_string() ? "text" : portolan::text(p, "/type");
        if (p.is_string()) return {{"type", said ? "output_text" : "input_text"}, {"text", p}};
        if (type == "text" || type == "input_text" || type == "output_text") return {{"type", said ? "output_text" : "input_text"}, {"text", portolan::text(p, "/text")}};
        if (type == "refusal") return {{"type", "refusal"}, {"refusal", portolan::text(p, "/refusal")}};
        if (type == "image_url") {
            const auto& where = p.at("image_url");
            json image{{"type", "input_image"}, {"image_url", where.is_string() ? where.get<std::string>() : portolan::text(where, "/url")}};
            const auto detail = portolan::text(where, "/detail");
            image["detail"] = detail.empty() ? "auto" : detail;
            return image;
        }
        if (type == "file") {
            json file{{"type", "input_file"}};
            for (const char* name : {"file_id", "file_data", "filename", "file_url"})
                if (p.contains("file") && p["file"].contains(name)) file[name] = p["file"][name];
            return file;
        }
        throw portolan::Error(PORTOLAN_E_INVALID, "messages: a response takes no content of type \"" + type + "\"");
    }
    static json parts(const json& content, bool said)
    {
        json out = json::array();
        if (content.is_string() && !content.get_ref<const std::string&>().empty()) out.push_back(part(content, said));
        for (const auto& p : content.is_array() ? content : json::array()) out.push_back(part(p, said));
        return out;
    }

    void message(const json& m)
    {
        const auto role = portolan::text(m, "/role");
        const json content = m.contains("content") ? m["content"] : json();
        if (!portolan::text(m, "/name").empty() && role != "function" && role != "tool") in_.lost.add("messages.name");
        if (role == "assistant") return assistant(m, content);
        if (role == "tool" || role == "function") {
            auto id = portolan::text(m, "/tool_call_id");
            if (id.empty()) id = last_call_;
            return put({{"type", "function_call_output"}, {"call_id", id}, {"output", content.is_array() ? parts(content, false) : content.is_string() ? content : json("")}});
        }
        put({{"type", "message"}, {"role", role}, {"content", parts(content, false)}});
    }

    /// Texts as one: parts of an answer must look like the API's own, with ids and annotations.
    static json spoken(json parts)
    {
        std::string all;
        for (const auto& p : parts) {
            if (p["type"] != "output_text") return parts;
            all += p["text"].get_ref<const std::string&>();
        }
        return all;
    }

    void put(json item) { out_["input"].push_back(std::move(item)); }

    void assistant(const json& m, const json& content)
    {
        for (const auto& d : portolan::at<json>(m, "/reasoning_details", json::array()))
            if (portolan::text(d, "/format") == own_format && portolan::text(d, "/type") == "reasoning.encrypted")
                put({{"type", "reasoning"}, {"id", portolan::text(d, "/id")}, {"summary", json::array()}, {"encrypted_content", portolan::text(d, "/data")}});
        auto said = parts(content, true);
        if (const auto refusal = portolan::text(m, "/refusal"); !refusal.empty()) said.push_back({{"type", "refusal"}, {"refusal", refusal}});
        if (!said.empty()) put({{"type", "message"}, {"role", "assistant"}, {"content", spoken(std::move(said))}});
        const auto call = [&](const std::string& id, const json& function) {
            last_call_ = id;
            put({{"type", "function_call"}, {"call_id", id}, {"name", portolan::text(function, "/name")},
                 {"arguments", hub::arguments_of(function.value("arguments", json())).dump()}});
        };
        for (const auto& c : portolan::at<json>(m, "/tool_calls", json::array())) call(portolan::text(c, "/id"), portolan::at<json>(c, "/function", json::object()));
        if (m.contains("function_call") && m["function_call"].is_object()) call("call_" + std::to_string(out_["input"].size()), m["function_call"]);
    }

    void tools()
    {
        for (const auto& t : in_.tools()) {
            json f{{"type", "function"}, {"name", t.name}, {"strict", t.strict}};
            f["parameters"] = t.schema.is_null() ? json{{"type", "object"}, {"properties", json::object()}} : t.schema;
            if (!t.description.empty()) f["description"] = t.description;
            out_["tools"].push_back(std::move(f));
        }
        using Mode = hub::ToolChoice::Mode;
        const auto choice = in_.tool_choice();
        if (!out_.contains("tools")) return;
        if (choice.sequential) out_["parallel_tool_calls"] = false;
        const char* word = choice.mode == Mode::None ? "none" : choice.mode == Mode::Required ? "required" : "auto";
        if (choice.mode == Mode::Named)
            out_["tool_choice"] = {{"type", "function"}, {"name", choice.name}};
        else if (!choice.among.empty()) {
            json among = json::array();
            for (const auto& name : choice.among) among.push_back({{"type", "function"}, {"name", name}});
            out_["tool_choice"] = {{"type", "allowed_tools"}, {"mode", word}, {"tools", std::move(among)}};
        } else if (choice.mode != Mode::Unsaid)
            out_["tool_choice"] = word;
    }

    void format()
    {
        const auto f = in_.format();
        if (f.kind == hub::Format::Kind::Object) out_["text"]["format"] = {{"type", "json_object"}};
        if (f.kind == hub::Format::Kind::Schema)
            out_["text"]["format"] = {{"type", "json_schema"}, {"name", f.name.empty() ? "answer" : f.name}, {"schema", f.schema}, {"strict", f.strict}};
        if (const auto& v = in_.take("verbosity"); v.is_string()) out_["text"]["verbosity"] = v;
    }

    void reasoning()
    {
        const auto r = in_.reasoning();
        if (!r.asked && !r.off) return;
        out_["reasoning"]["effort"] = r.off ? "none" : r.effort.empty() ? "medium" : r.effort;
        if (r.off) return;
        if (!r.hidden) out_["reasoning"]["summary"] = "auto";
        out_["include"].push_back("reasoning.encrypted_content");
    }

    hub::ChatBody in_;
    json out_;
    std::string last_call_;
};

class Translated final : public portolan::Exchange {
public:
    explicit Translated(const hub::openai::Settings& s) : s_(s) {}

    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        ResponseRequest(rq).send(s_.paths.at(PORTOLAN_OP_RESPONSES), s_.auth, out);
    }
    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        f.whole() ? reply_.whole(portolan::parse(f.data()), out) : reply_.event(f, out);
    }

private:
    const hub::openai::Settings& s_;
    hub::openai::ResponseReply reply_;
};

class OpenAiResponses : public portolan::Provider {
public:
    explicit OpenAiResponses(const portolan::Config& c) : settings_(c.json) {}
    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        if (rq.op() == PORTOLAN_OP_CHAT && rq.dialect() == PORTOLAN_DIALECT_OPENAI) return std::make_unique<Translated>(settings_);
        return std::make_unique<hub::openai::Exchange>(settings_, rq);
    }

private:
    hub::openai::Settings settings_;
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.openai-responses","version":"0.1.0","license":"Apache-2.0","components":{"openai-responses":{
  "kind":"portolan.provider/1","title":"OpenAI Responses","streams":true,
  "ops":{"chat":{"native":["responses"],"translates":["openai"]},"responses":{"native":["responses"]},"embeddings":{"native":["openai"]},
         "moderations":{"native":["openai"]},"image_generate":{"native":["openai"]},"image_edit":{"native":["openai"]},"speech":{"native":["openai"]},
         "transcribe":{"native":["openai"]},"models":{},"health":{}},
  "auth":{"key":{"scheme":"bearer"},"api_key":{"scheme":"header","name":"api-key"}},"base_url":"https://api.openai.com/v1",
  "config":{"type":"object","properties":{
    "base_url":{"type":"string","format":"uri","title":"Base URL","description":"with its path"},
    "auth":{"type":"string","enum":["bearer","api-key","none"],"default":"bearer","title":"How the key is sent"},
    "paths":{"type":"object","title":"Paths","description":"operation to path"}}}}}})",
    portolan::component<OpenAiResponses>("openai-responses"))
