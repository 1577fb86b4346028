// Mistral AI (https://docs.mistral.ai/api): OpenAI's API with words of its own for a few things, and answers that are lists when a model thinks.
#include "../common/conversation.hpp"
#include "../common/openai_exchange.hpp"

namespace {

using portolan::json;

/// Nine letters and digits, which is all that Mistral takes for the id of a call; the same for the same id wherever it stands.
std::string nine(const std::string& id)
{
    if (id.size() == 9 && std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c); })) return id;
    static constexpr char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::uint64_t hash = 14695981039346656037u; // FNV-1a
    for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    std::string out;
    for (int i = 0; i < 9; ++i, hash /= 62) out += letters[hash % 62];
    return out;
}

/// A chat request in Mistral's words.
class ChatRequest {
public:
    explicit ChatRequest(const portolan::Request& rq) : body_(json::parse(rq.json()))
    {
        body_["model"] = rq.model(), body_["stream"] = rq.stream();
        body_.erase("stream_options"); // usage comes unasked, and some models refuse the question
        rename("max_completion_tokens", "max_tokens");
        rename("seed", "random_seed");
        if (body_.value("tool_choice", json()) == "required") body_["tool_choice"] = "any";
        for (const char* name : {"store", "metadata", "user", "prompt_cache_key", "safety_identifier"}) body_.erase(name); // says nothing about the answer
        for (const char* name : {"logit_bias", "logprobs", "top_logprobs", "service_tier", "modalities", "audio", "verbosity", "web_search_options", "functions", "function_call"})
            leave_out(body_, name, name);
        if (const auto said = body_.find("reasoning_effort"); said != body_.end() && *said != "none" && *said != "high") leave_out(body_, "reasoning_effort", "reasoning_effort");
        for (auto& m : body_["messages"])
            if (m.is_object()) message(m);
    }
    void send(portolan::Http& out)
    {
        lost_.tell(out);
        out.header("content-type", "application/json").body(body_.dump(-1, ' ', false, json::error_handler_t::replace));
    }

private:
    void leave_out(json& from, const char* name, const std::string& told)
    {
        const auto at = from.find(name);
        if (at == from.end()) return;
        const bool says_nothing = at->is_null() || *at == false || (*at == json::object() && name != std::string_view("web_search_options")) || *at == json::array({"text"});
        if (!says_nothing) lost_.add(told);
        from.erase(at);
    }

    void rename(const char* from, const char* to)
    {
        const auto at = body_.find(from);
        if (at == body_.end()) return;
        if (!at->is_null() && !body_.contains(to)) body_[to] = *at;
        body_.erase(from);
    }

    /// The thoughts of an assistant's turn stand in its content here.
    static void put_thinking(json& m)
    {
        auto thought = portolan::text(m, "/reasoning_content");
        if (thought.empty()) thought = portolan::text(m, "/reasoning");
        for (const char* name : {"reasoning_content", "reasoning", "reasoning_details", "refusal", "annotations"}) m.erase(name);
        if (thought.empty()) return;
        const json said = json::array({json{{"type", "text"}, {"text", thought}}});
        json parts = json::array({json{{"type", "thinking"}, {"thinking", said}}});
        const auto content = m.value("content", json());
        if (content.is_string() && !content.get_ref<const std::string&>().empty()) parts.push_back({{"type", "text"}, {"text", content}});
        for (const auto& p : content.is_array() ? content : json::array()) parts.push_back(p);
        m["content"] = std::move(parts);
    }

    void message(json& m)
    {
        const auto role = portolan::text(m, "/role");
        if (role == "developer") m["role"] = "system";
        if (role == "assistant") put_thinking(m);
        if (role != "tool") leave_out(m, "name", "messages.name");
        leave_out(m, "cache_control", "cache_control"), m.erase("is_error");
        if (m.contains("tool_call_id") && m["tool_call_id"].is_string()) m["tool_call_id"] = nine(m["tool_call_id"]);
        for (auto& call : m.contains("tool_calls") && m["tool_calls"].is_array() ? m["tool_calls"] : none_) {
            if (!call.is_object()) continue;
            if (const auto id = portolan::text(call, "/id"); !id.empty()) call["id"] = nine(id);
            if (call.contains("function") && portolan::text(call, "/function/arguments").empty() && !portolan::at<json>(call, "/function/arguments").is_object())
                call["function"]["arguments"] = "{}";
        }
        for (auto& part : m.contains("content") && m["content"].is_array() ? m["content"] : none_) {
            if (!part.is_object()) continue;
            leave_out(part, "cache_control", "cache_control");
            if (portolan::text(part, "/type") == "input_audio" && part["input_audio"].is_object()) part["input_audio"] = part["input_audio"].value("data", json());
            if (portolan::text(part, "/type") == "file") document(part);
        }
    }

    /// A file by its data or address is a document here.
    static void document(json& part)
    {
        const auto url = portolan::text(part, "/file/file_data").empty() ? portolan::text(part, "/file/file_url") : portolan::text(part, "/file/file_data");
        if (url.empty()) return;
        json out{{"type", "document_url"}, {"document_url", url}};
        if (const auto name = portolan::text(part, "/file/filename"); !name.empty()) out["document_name"] = name;
        part = std::move(out);
    }

    json body_, none_ = json::array();
    hub::Lost lost_;
};

class Exchange final : public hub::openai::Exchange {
public:
    using hub::openai::Exchange::Exchange;

    void request(const portolan::Call& call, const portolan::Request& rq, portolan::Http& out) override
    {
        if (op_ != PORTOLAN_OP_CHAT) return hub::openai::Exchange::request(call, rq, out);
        out.post(s_.paths.at(op_)).auth(s_.auth);
        ChatRequest(rq).send(out);
    }
};

struct MistralSettings : hub::openai::Settings {
    explicit MistralSettings(std::string_view text) : Settings(text) { repair = true, stream_usage = false; }
};

class Mistral : public portolan::Provider {
public:
    explicit Mistral(const portolan::Config& c) : settings_(c.json) {}
    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        return std::make_unique<Exchange>(settings_, rq);
    }

private:
    MistralSettings settings_;
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.mistral","version":"0.1.0","license":"Apache-2.0","components":{"mistral":{
  "kind":"portolan.provider/1","title":"Mistral AI","streams":true,
  "ops":{"chat":{"translates":["openai"]},"embeddings":{"native":["openai"]},"moderations":{"native":["openai"]},"models":{},"health":{}},
  "auth":{"key":{"scheme":"bearer"}},"base_url":"https://api.mistral.ai/v1",
  "config":{"type":"object","properties":{"base_url":{"type":"string","format":"uri","title":"Base URL"}}}}}})",
    portolan::component<Mistral>("mistral"))
