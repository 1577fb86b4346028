// Anthropic's Messages API, at Anthropic and on Vertex AI. A client that speaks it gets the upstream's own bytes; any other gets events.
#include "reply.hpp"
#include "request.hpp"

namespace {

using anthropic::json, anthropic::text;

struct Settings {
    Settings(std::string_view config, bool vertex) : vertex(vertex)
    {
        const auto c = json::parse(config);
        version = c.value("version", "2023-06-01"), beta = c.value("beta", ""), max_tokens = c.value("max_tokens", std::int64_t{8192});
        if (!vertex) return;
        version = "vertex-2023-10-16";
        const auto location = c.value("location", "global");
        if (location == "global" && c.value("base_url", "").empty()) base = "global";
        root = "/v1/projects/" + hub::percent_encoded(c.value("project", "")) + "/locations/" + hub::percent_encoded(location) + "/publishers/anthropic/models/";
    }
    bool vertex;
    std::string version, beta;
    std::int64_t max_tokens;
    std::string root, base; ///< of Vertex; base: of the manifest's roots
};

class Messages : public portolan::Exchange {
public:
    Messages(const Settings& s, const portolan::Request& rq)
        : s_(s), op_(rq.op()), native_(rq.native()), stream_(rq.stream()), text_wanted_(rq.text_wanted()), reader_(false, {})
    {
    }

    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        out.auth(s_.vertex ? "account" : "key");
        if (!s_.vertex) out.header("anthropic-version", rq.header("anthropic-version").empty() ? s_.version : rq.header("anthropic-version"));
        const auto beta = rq.header("anthropic-beta").empty() ? std::string_view(s_.beta) : rq.header("anthropic-beta");
        if (!beta.empty()) out.header("anthropic-beta", beta);
        if (op_ == PORTOLAN_OP_MODELS || op_ == PORTOLAN_OP_HEALTH) {
            out.get(s_.vertex ? "/v1beta1/publishers/anthropic/models?pageSize=200" : "/v1/models?limit=1000", s_.base);
            return;
        }
        out.post(path(rq), s_.base);
        const bool named_by_path = s_.vertex && op_ != PORTOLAN_OP_COUNT_TOKENS;
        if (native_) { // every other byte stays the client's
            out.edit("/model", named_by_path ? std::string() : portolan::quoted(rq.model()));
            if (s_.vertex) out.edit("/anthropic_version", portolan::quoted(s_.version));
            return;
        }
        anthropic::RequestWriter writer(rq.json(), rq, s_.max_tokens, manner_);
        auto body = writer.write(op_ == PORTOLAN_OP_COUNT_TOKENS);
        if (named_by_path) body.erase("model");
        if (s_.vertex) body["anthropic_version"] = s_.version;
        out.header("content-type", "application/json").body(body.dump());
        writer.lost().tell(out);
        by_tool_ = writer.by_tool();
        reader_ = anthropic::ReplyReader(by_tool_, anthropic::answer_tool);
    }

    /// Told first, relayed second: an error before any content can still be answered by somebody else.
    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        const bool relay = native_ && f.whole() != stream_; // a shape that was not asked for is put together by the host
        if (f.whole())
            whole(portolan::parse(f.data()), out);
        else if (!f.data().empty() && !(relay && skim(f)))
            piece(f, out);
        if (relay) out.raw(f.raw());
    }

    void classify(const portolan::Call&, const portolan::Reply& r, portolan::Events& out) override
    {
        const auto j = portolan::parse_or_none(r.body());
        if (!j.is_object()) return;
        const auto type = text(j, "/error/type"), message = text(j, "/error/message");
        if (type.empty()) return;
        if (r.status() == 400 && !native_ && mend(message)) return out.fault(PORTOLAN_FAULT_BAD_REQUEST, message, -1, PORTOLAN_FAULT_REBUILD);
        const auto fault = anthropic::fault_of(type, message);
        // What these types leave open, the host reads from the status and the words.
        for (const auto open : {PORTOLAN_FAULT_BAD_REQUEST, PORTOLAN_FAULT_SERVER, PORTOLAN_FAULT_TIMEOUT})
            if (fault == open) return;
        out.fault(fault, message);
    }

private:
    std::string path(const portolan::Request& rq) const
    {
        const bool counting = op_ == PORTOLAN_OP_COUNT_TOKENS;
        if (s_.vertex) return s_.root + (counting ? "count-tokens" : hub::percent_encoded(rq.model())) + (stream_ && !counting ? ":streamRawPredict" : ":rawPredict");
        const auto query = rq.header(":query");
        return std::string(counting ? "/v1/messages/count_tokens" : "/v1/messages") + (query.empty() ? "" : "?" + std::string(query));
    }

    /// True if asking differently may help: some models lack what newer ones have.
    bool mend(const std::string& message)
    {
        const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
        if (manner_.native_format && (says("output_config.format") || says("output_format") || says("structured output") || says("strict")))
            return manner_.native_format = false, true;
        if (manner_.thinking && (says("adaptive thinking") || says("thinking.type") || says("effort"))) return manner_.thinking = false, true;
        if (manner_.sampling && (says("temperature") || says("top_p"))) return manner_.sampling = false, true;
        return false;
    }

    /// Once content was told, its further pieces need no reading on their way to a client of the same dialect, if they can be read at all.
    bool skim(const portolan::Frame& f) const
    {
        return told_ && !text_wanted_ && (f.event() == "content_block_delta" || f.event() == "ping") && f.data().front() == '{' && json::accept(f.data());
    }

    void piece(const portolan::Frame& f, portolan::Events& out)
    {
        const auto j = portolan::parse(f.data());
        if (!j.is_object()) throw portolan::Error(PORTOLAN_E_UPSTREAM, "an event that is no object");
        const auto type = text(j, "/type");
        reader_.event(type, j, out);
        told_ = told_ || type == "content_block_delta";
    }

    void whole(const json& j, portolan::Events& out)
    {
        if (op_ == PORTOLAN_OP_MODELS) return out.result(s_.vertex ? listed(j).dump() : j.dump());
        if (op_ == PORTOLAN_OP_HEALTH) return out.finish("stop");
        if (op_ != PORTOLAN_OP_COUNT_TOKENS) return reader_.whole(j, out);
        const auto tokens = portolan::count(j, "/input_tokens");
        if (tokens < 0) throw portolan::Error(PORTOLAN_E_UPSTREAM, "a token count without input_tokens");
        out.usage(portolan::usage(tokens, 0));
        out.finish("stop");
    }

    /// Vertex's list: {"publisherModels":[{"name":"publishers/anthropic/models/claude-x"}]}.
    static json listed(const json& j)
    {
        json list = json::array();
        for (const auto& m : portolan::at<json>(j, "/publisherModels", json::array()))
            if (const auto name = text(m, "/name"); !name.empty()) list.push_back({{"id", name.substr(name.rfind('/') + 1)}, {"object", "model"}, {"owned_by", "anthropic"}});
        return {{"object", "list"}, {"data", std::move(list)}};
    }

    const Settings& s_; // of the component, which outlives its exchanges
    std::int32_t op_;
    bool native_, stream_, text_wanted_;
    bool by_tool_ = false, told_ = false;
    anthropic::Manner manner_;
    anthropic::ReplyReader reader_;
};

template <bool vertex>
class Anthropic : public portolan::Provider {
public:
    explicit Anthropic(const portolan::Config& c) : settings_(c.json, vertex) {}

    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        return std::make_unique<Messages>(settings_, rq);
    }

private:
    Settings settings_;
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.anthropic","version":"0.1.0","license":"Apache-2.0","components":{"anthropic":{
  "kind":"portolan.provider/1","title":"Anthropic","streams":true,
  "ops":{"chat":{"native":["anthropic"],"translates":["openai"]},"count_tokens":{"native":["anthropic"],"translates":["openai"]},
         "models":{},"health":{}},
  "base_url":"https://api.anthropic.com",
  "auth":{"key":{"scheme":"header","name":"x-api-key"}},
  "client_headers":["anthropic-version","anthropic-beta",":query"],"reply_headers":["request-id"],
  "config":{"type":"object","properties":{
    "base_url":{"type":"string","format":"uri","title":"Base URL","description":"without /v1"},
    "version":{"type":"string","default":"2023-06-01","title":"anthropic-version","description":"where the client names none"},
    "beta":{"type":"string","default":"","title":"anthropic-beta","description":"beta features of every request, separated by commas; a client's own replace them"},
    "max_tokens":{"type":"integer","minimum":1,"default":8192,"title":"Token limit","description":"where neither the client nor the catalogue names one: the API demands it"}}}},
"vertex-anthropic":{
  "kind":"portolan.provider/1","title":"Claude on Google Vertex AI","streams":true,
  "ops":{"chat":{"native":["anthropic"],"translates":["openai"]},"count_tokens":{"native":["anthropic"],"translates":["openai"]},
         "models":{},"health":{}},
  "base_url":"https://{config.location}-aiplatform.googleapis.com","bases":{"global":"https://aiplatform.googleapis.com"},
  "auth":{"account":{"scheme":"gcp","scope":"https://www.googleapis.com/auth/cloud-platform"}},
  "client_headers":["anthropic-beta"],"reply_headers":["request-id"],
  "config":{"type":"object","required":["project"],"properties":{
    "base_url":{"type":"string","format":"uri","title":"Base URL","description":"without a version; empty: the location's own"},
    "project":{"type":"string","minLength":1,"title":"Project","description":"the key is a service account's JSON or an access token"},
    "location":{"type":"string","default":"global","pattern":"^[a-z0-9-]+$","title":"Location"},
    "beta":{"type":"string","default":"","title":"anthropic-beta","description":"beta features of every request, separated by commas; a client's own replace them"},
    "max_tokens":{"type":"integer","minimum":1,"default":8192,"title":"Token limit","description":"where neither the client nor the catalogue names one: the API demands it"}}}}}})",
    portolan::component<Anthropic<false>>("anthropic"), portolan::component<Anthropic<true>>("vertex-anthropic"))
