// Google's generateContent, in AI Studio and on Vertex AI. A client that speaks it gets the upstream's
// own bytes; any other gets events.
#include "reply.hpp"
#include "request.hpp"

namespace {

using gemini::json, gemini::text;

struct Settings {
    Settings(std::string_view config, bool vertex) : vertex(vertex)
    {
        const auto c = json::parse(config);
        json_schema = c.value("json_schema", true);
        if (!vertex) return;
        const auto project = c.value("project", ""), location = c.value("location", "global");
        express = project.empty();
        if (location == "global" && c.value("base_url", "").empty()) base = "global";
        root = express ? "/v1" : "/v1/projects/" + hub::percent_encoded(project) + "/locations/" + hub::percent_encoded(location);
    }
    bool vertex, json_schema = true, express = false;
    std::string root, base; ///< base: of the manifest's roots

    [[nodiscard]] std::string path_of(std::string_view model) const
    {
        if (model.starts_with("models/")) model.remove_prefix(7);
        if (!vertex) {
            if (const auto slash = model.find('/'); model.starts_with("tunedModels/"))
                return "/tunedModels/" + hub::percent_encoded(model.substr(slash + 1));
            return "/models/" + hub::percent_encoded(model);
        }
        if (model.starts_with("projects/")) return "/v1/" + std::string(model);
        std::string publisher = "google";
        if (const auto slash = model.find('/'); slash != model.npos) publisher = model.substr(0, slash), model.remove_prefix(slash + 1);
        return root + "/publishers/" + hub::percent_encoded(publisher) + "/models/" + hub::percent_encoded(model);
    }
};

class Generate : public portolan::Exchange {
public:
    Generate(const Settings& s, const portolan::Request& rq)
        : s_(s), op_(rq.op()), native_(rq.native()), stream_(rq.stream()), estimate_(rq.raw().est_input_tokens)
    {
        manner_.json_schema = s.json_schema;
    }

    void request(const portolan::Call& call, const portolan::Request& rq, portolan::Http& out) override
    {
        reader_ = {};
        reader_.seed(call.seed());
        out.auth(s_.vertex && !s_.express ? "account" : "key");
        if (op_ == PORTOLAN_OP_MODELS || op_ == PORTOLAN_OP_HEALTH) {
            out.get(s_.vertex ? "/v1beta1/publishers/google/models?pageSize=200" : "/models?pageSize=1000", s_.base);
            return;
        }
        const auto model = s_.path_of(rq.model());
        if (op_ == PORTOLAN_OP_EMBEDDINGS) return embed(rq, model, out);
        if (op_ == PORTOLAN_OP_COUNT_TOKENS) return count(rq, model, out);
        const auto query = rq.header(":query");
        sse_ = query.find("alt=sse") != query.npos;
        // asked for as events even if the client wants a JSON array, which it then gets piece by piece
        out.post(model + (stream_ ? ":streamGenerateContent?alt=sse" : ":generateContent"), s_.base);
        if (native_) return; // the path names the model: every byte stays the client's
        gemini::RequestWriter writer(rq.json(), rq, manner_);
        out.header("content-type", "application/json").body(writer.write().dump());
        writer.lost().tell(out);
    }

    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        const auto data = f.data().substr(std::min(f.data().size(), f.data().find_first_not_of(" \t\r\n")));
        const bool as_asked = stream_ ? !f.whole() && sse_ : f.whole() && !data.starts_with('[');
        const bool relay = native_ && op_ == PORTOLAN_OP_CHAT && as_asked;
        if (!data.empty() && data != "[DONE]") said(portolan::parse(data), out);
        if (relay) out.raw(f.raw());
    }

    bool end(const portolan::Call&, portolan::Events& out) override
    {
        if (op_ == PORTOLAN_OP_CHAT) reader_.end(out);
        return false;
    }

    void classify(const portolan::Call&, const portolan::Reply& r, portolan::Events& out) override
    {
        auto j = portolan::parse_or_none(r.body());
        if (j.is_array() && !j.empty()) j = json(j[0]); // so a stream without alt=sse fails
        if (!j.is_object() || !j.contains("error") || !j["error"].is_object()) return;
        auto& e = j["error"];
        if (!e.contains("code")) e["code"] = r.status();
        const auto message = text(e, "/message");
        if (r.status() == 400 && !native_ && mend(message)) return out.fault(PORTOLAN_FAULT_BAD_REQUEST, message, -1, PORTOLAN_FAULT_REBUILD);
        if (over_any_quota(e)) return out.fault(PORTOLAN_FAULT_TOO_LONG, message);
        gemini::ReplyReader::error(e, out);
    }

private:
    bool mend(const std::string& message)
    {
        const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
        if (manner_.json_schema && (says("JsonSchema") || says("json_schema") || says("schema"))) return manner_.json_schema = false, true;
        if (manner_.thinking && (says("thinking") || says("Thinking"))) return manner_.thinking = false, true;
        return false;
    }

    /// A request that is larger than a whole minute's tokens never fits, however long one waits.
    bool over_any_quota(const json& e) const
    {
        for (const auto& d : portolan::at<json>(e, "/details", json::array()))
            for (const auto& v : portolan::at<json>(d, "/violations", json::array())) {
                const auto metric = text(v, "/quotaMetric"), limit = text(v, "/quotaValue");
                if (metric.find("input_token_count") == metric.npos || limit.empty() || limit.size() > 15) continue;
                if (limit.find_first_not_of("0123456789") == limit.npos && estimate_ > std::stoll(limit)) return true;
            }
        return false;
    }

    void count(const portolan::Request& rq, const std::string& model, portolan::Http& out)
    {
        out.post(model + ":countTokens", s_.base);
        if (native_) return;
        gemini::RequestWriter writer(rq.json(), rq, manner_);
        auto body = writer.write();
        writer.lost().tell(out);
        if (s_.vertex)
            body.erase("generationConfig"), body.erase("toolConfig");
        else {
            body["model"] = "models/" + std::string(rq.model());
            body = json{{"generateContentRequest", std::move(body)}};
        }
        out.header("content-type", "application/json").body(body.dump());
    }

    void embed(const portolan::Request& rq, const std::string& model, portolan::Http& out)
    {
        const auto in = json::parse(rq.json());
        json texts = in.contains("input") && in["input"].is_array() ? in["input"] : json::array({in.value("input", json(""))});
        base64_ = in.value("encoding_format", "float") == "base64";
        json list = json::array();
        for (const auto& t : texts) {
            if (!t.is_string()) throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "input: Gemini embeds text, not token numbers");
            if (s_.vertex) {
                list.push_back({{"content", t}});
                continue;
            }
            json one{{"model", "models/" + std::string(rq.model())}, {"content", {{"parts", {{{"text", t}}}}}}};
            if (in.contains("dimensions")) one["outputDimensionality"] = in["dimensions"];
            list.push_back(std::move(one));
        }
        out.post(model + (s_.vertex ? ":predict" : ":batchEmbedContents"), s_.base).header("content-type", "application/json");
        json body{{s_.vertex ? "instances" : "requests", std::move(list)}};
        if (s_.vertex && in.contains("dimensions")) body["parameters"] = {{"outputDimensionality", in["dimensions"]}};
        out.body(body.dump());
    }

    void said(const json& j, portolan::Events& out)
    {
        switch (op_) {
        case PORTOLAN_OP_MODELS: return models(j, out);
        case PORTOLAN_OP_HEALTH: return out.finish("stop");
        case PORTOLAN_OP_EMBEDDINGS: return embedded(j, out);
        case PORTOLAN_OP_COUNT_TOKENS: {
            const auto tokens = portolan::count(j, "/totalTokens");
            if (tokens < 0) throw portolan::Error(PORTOLAN_E_UPSTREAM, "a token count without totalTokens");
            out.usage(portolan::usage(tokens, 0));
            return out.finish("stop");
        }
        default: break;
        }
        if (!j.is_array()) return reader_.read(j, out);
        for (const auto& chunk : j) reader_.read(chunk, out); // a stream that came as a JSON array
    }

    static void models(const json& j, portolan::Events& out)
    {
        json list = json::array();
        for (const char* key : {"models", "publisherModels"})
            for (const auto& m : portolan::at<json>(j, ("/" + std::string(key)).c_str(), json::array())) {
                const auto methods = portolan::at<json>(m, "/supportedGenerationMethods", json::array({"generateContent"}));
                if (std::find(methods.begin(), methods.end(), json("generateContent")) == methods.end()) continue;
                const auto name = text(m, "/name");
                list.push_back({{"id", name.substr(name.rfind('/') + 1)}, {"object", "model"}, {"owned_by", "google"}});
            }
        out.result(json{{"object", "list"}, {"data", std::move(list)}}.dump());
    }

    json vector(const json& values) const
    {
        if (!base64_) return values;
        std::string bytes;
        for (const auto& v : values) { // little-endian float32, as OpenAI sends them
            const auto f = v.get<float>();
            std::uint32_t bits;
            static_assert(sizeof bits == sizeof f);
            std::memcpy(&bits, &f, sizeof bits);
            for (int i = 0; i < 4; ++i, bits >>= 8) bytes += char(bits & 0xff);
        }
        return hub::base64_encoded(bytes);
    }

    void embedded(const json& j, portolan::Events& out) const
    {
        json list = json::array();
        std::int64_t tokens = -1;
        const auto add = [&](const json& values) { list.push_back({{"object", "embedding"}, {"index", list.size()}, {"embedding", vector(values)}}); };
        for (const auto& e : portolan::at<json>(j, "/embeddings", json::array())) add(e.at("values"));
        for (const auto& p : portolan::at<json>(j, "/predictions", json::array())) {
            add(p.at("embeddings").at("values"));
            const auto n = portolan::count(p, "/embeddings/statistics/token_count");
            if (n >= 0) tokens = std::max<std::int64_t>(tokens, 0) + n;
        }
        if (list.empty()) throw portolan::Error(PORTOLAN_E_UPSTREAM, "an embeddings answer without embeddings");
        const auto said = std::max<std::int64_t>(tokens, 0);
        out.usage(portolan::usage(tokens, 0));
        out.result(json{{"object", "list"}, {"data", std::move(list)}, {"usage", {{"prompt_tokens", said}, {"total_tokens", said}}}}.dump());
    }

    const Settings& s_; // of the component, which outlives its exchanges
    std::int32_t op_;
    bool native_, stream_, sse_ = false, base64_ = false;
    std::int64_t estimate_;
    gemini::Manner manner_;
    gemini::ReplyReader reader_;
};

template <bool vertex>
class Google : public portolan::Provider {
public:
    explicit Google(const portolan::Config& c) : settings_(c.json, vertex) {}

    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        return std::make_unique<Generate>(settings_, rq);
    }

private:
    Settings settings_;
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.gemini","version":"0.1.0","license":"Apache-2.0","components":{"gemini":{
  "kind":"portolan.provider/1","title":"Google Gemini","streams":true,
  "ops":{"chat":{"native":["gemini"],"translates":["openai"]},"count_tokens":{"native":["gemini"],"translates":["openai"]},
         "embeddings":{"translates":["openai"]},"models":{},"health":{}},
  "base_url":"https://generativelanguage.googleapis.com/v1beta",
  "auth":{"key":{"scheme":"header","name":"x-goog-api-key"}},
  "client_headers":[":query"],
  "config":{"type":"object","properties":{
    "base_url":{"type":"string","format":"uri","title":"Base URL","description":"with the version, as in https://generativelanguage.googleapis.com/v1beta"},
    "json_schema":{"type":"boolean","default":true,"title":"JSON Schema","description":"send schemas as they are to models that read JSON Schema; false: always as Gemini's own subset"}}}},
"vertex":{
  "kind":"portolan.provider/1","title":"Google Vertex AI","streams":true,
  "ops":{"chat":{"native":["gemini"],"translates":["openai"]},"count_tokens":{"native":["gemini"],"translates":["openai"]},
         "embeddings":{"translates":["openai"]},"models":{},"health":{}},
  "base_url":"https://{config.location}-aiplatform.googleapis.com","bases":{"global":"https://aiplatform.googleapis.com"},
  "auth":{"account":{"scheme":"gcp","scope":"https://www.googleapis.com/auth/cloud-platform"},
          "key":{"scheme":"header","name":"x-goog-api-key"}},
  "client_headers":[":query"],
  "config":{"type":"object","properties":{
    "base_url":{"type":"string","format":"uri","title":"Base URL","description":"without a version; empty: the location's own"},
    "project":{"type":"string","default":"","title":"Project","description":"then the key is a service account's JSON or an access token; empty: express mode, where it is an API key"},
    "location":{"type":"string","default":"global","pattern":"^[a-z0-9-]+$","title":"Location"},
    "json_schema":{"type":"boolean","default":true,"title":"JSON Schema","description":"send schemas as they are to models that read JSON Schema; false: always as Gemini's own subset"}}}}}})",
    portolan::component<Google<false>>("gemini"), portolan::component<Google<true>>("vertex"))
