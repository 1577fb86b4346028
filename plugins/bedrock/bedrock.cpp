// Amazon Bedrock's Converse and ConverseStream. The host signs what is sent and cuts the AWS event stream.
#include "request.hpp"

namespace {

using bedrock::json, portolan::text, portolan::count;

std::string_view finish_of(std::string_view reason)
{
    if (reason == "max_tokens" || reason == "model_context_window_exceeded") return "length";
    if (reason == "tool_use") return "tool_calls";
    if (reason == "guardrail_intervened" || reason == "content_filtered") return "content_filter";
    return "stop";
}

/// Cached tokens are left out of inputTokens; ours are totals.
portolan_usage usage_of(const json& u)
{
    const auto either = [&](const char* a, const char* b) { return std::max(count(u, a), count(u, b)); };
    auto out = portolan::usage(-1, count(u, "/outputTokens"));
    out.cache_read = either("/cacheReadInputTokens", "/cacheReadInputTokenCount");
    out.cache_write = either("/cacheWriteInputTokens", "/cacheWriteInputTokenCount");
    for (const auto& d : portolan::at<json>(u, "/cacheDetails", json::array()))
        if (text(d, "/ttl") == "1h") out.cache_write_long = std::max<std::int64_t>(out.cache_write_long, 0) + std::max<std::int64_t>(0, count(d, "/inputTokens"));
    if (const auto fresh = count(u, "/inputTokens"); fresh >= 0)
        out.input = fresh + std::max<std::int64_t>(out.cache_read, 0) + std::max<std::int64_t>(out.cache_write, 0);
    return out;
}

/// `type`: the exception's name, with or without what the services put around it.
std::int32_t fault_of(std::string_view type, std::string_view message, int status)
{
    type = type.substr(0, type.find(':'));
    if (const auto mark = type.rfind('#'); mark != type.npos) type.remove_prefix(mark + 1);
    const auto name = hub::lower(type);
    const auto is = [&](std::string_view word) { return name.starts_with(word); };
    const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
    if (is("throttling") || is("toomanyrequests") || status == 429) return PORTOLAN_FAULT_RATE_LIMIT;
    if (is("servicequotaexceeded")) return PORTOLAN_FAULT_QUOTA;
    if (is("serviceunavailable") || is("modelnotready")) return PORTOLAN_FAULT_OVERLOADED;
    if (is("modeltimeout")) return PORTOLAN_FAULT_TIMEOUT;
    if (is("internalserver") || is("modelerror") || is("modelstreamerror")) return PORTOLAN_FAULT_SERVER;
    if (is("accessdenied") || is("unrecognizedclient") || is("invalidsignature") || is("expiredtoken") || is("missingauthentication") || is("incompletesignature") ||
        status == 401 || status == 403)
        return PORTOLAN_FAULT_AUTH;
    if (is("resourcenotfound") || says("model identifier is invalid") || status == 404) return PORTOLAN_FAULT_NO_MODEL;
    if (says("Input Tokens Exceeded") || says("Input is too long") || says("input is too long") || says("prompt is too long") || says("too many input tokens"))
        return PORTOLAN_FAULT_TOO_LONG;
    if (is("validation") || status == 400) return PORTOLAN_FAULT_BAD_REQUEST;
    return PORTOLAN_FAULT_SERVER;
}

std::string message_of(const json& error)
{
    const auto message = text(error, "/message");
    return message.empty() ? text(error, "/Message") : message;
}

void refusal(const portolan::Reply& r, const json& error, portolan::Events& out)
{
    if (!error.is_object()) return;
    auto type = std::string(r.header("x-amzn-errortype"));
    if (type.empty()) type = text(error, "/__type");
    const auto message = message_of(error);
    out.fault(fault_of(type, message, r.status()), message);
}

class Converse : public portolan::Exchange {
public:
    explicit Converse(const portolan::Request& rq) : native_(rq.native()), stream_(rq.stream()) {}

    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        out.auth("key").post("/model/" + hub::percent_encoded(rq.model()) + (stream_ ? "/converse-stream" : "/converse"));
        if (stream_) out.header("accept", "application/vnd.amazon.eventstream");
        if (native_) return; // the path names the model: every byte stays the client's
        bedrock::RequestWriter writer(rq.json(), rq, manner_);
        out.header("content-type", "application/json").body(writer.write().dump());
        writer.lost().tell(out);
        by_tool_ = writer.by_tool();
    }

    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        const bool relay = native_ && f.whole() != stream_;
        if (f.whole())
            whole(portolan::parse(f.data()), out);
        else if (!f.data().empty())
            event(f.event(), portolan::parse(f.data()), out);
        if (relay) out.raw(f.raw());
    }

    void classify(const portolan::Call&, const portolan::Reply& r, portolan::Events& out) override
    {
        const auto j = portolan::parse_or_none(r.body());
        const auto message = message_of(j);
        if (r.status() == 400 && !native_ && mend(message)) return out.fault(PORTOLAN_FAULT_BAD_REQUEST, message, -1, PORTOLAN_FAULT_REBUILD);
        refusal(r, j, out);
    }

private:
    struct Block {
        bool tool = false, answers = false, has_arguments = false;
        unsigned index = 0;
        std::string signature;
        std::size_t bytes = 0;
    };

    bool mend(const std::string& message)
    {
        const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
        if (manner_.native_format && (says("outputConfig") || says("output_config") || says("structured output") || says("output format") || says("textFormat")))
            return manner_.native_format = false, true;
        if (manner_.thinking && (says("thinking") || says("reasoning"))) return manner_.thinking = false, true;
        return false;
    }

    void whole(const json& j, portolan::Events& out)
    {
        const auto content = portolan::at<json>(j, "/output/message/content", json());
        if (!content.is_array() && !j.contains("stopReason")) throw portolan::Error(PORTOLAN_E_UPSTREAM, "a Converse answer without a message");
        std::int64_t index = 0;
        for (const auto& b : content.is_array() ? content : json::array()) whole_block(index++, b, out);
        if (j.contains("usage")) out.usage(usage_of(j["usage"]));
        stop(text(j, "/stopReason"), out);
    }

    void whole_block(std::int64_t index, const json& b, portolan::Events& out)
    {
        if (const auto t = text(b, "/text"); !t.empty()) out.text(t);
        for (const char* other : {"image", "video", "audio", "document"})
            if (b.contains(other)) out.lost(other);
        if (b.contains("toolResult")) out.lost("tool_result");
        if (b.contains("toolUse")) {
            begin(index, b, out);
            if (auto& block = blocks_[index]; block.tool && b["toolUse"].contains("input")) arguments(block, b["toolUse"]["input"].dump(), out);
        }
        if (b.contains("reasoningContent")) {
            const auto& r = b["reasoningContent"];
            reason(blocks_[index], {{"text", text(r, "/reasoningText/text")}, {"signature", text(r, "/reasoningText/signature")}}, out);
            if (r.contains("redactedContent")) reason(blocks_[index], r, out);
        }
        if (b.contains("citationsContent")) {
            for (const auto& piece : portolan::at<json>(b, "/citationsContent/content", json::array()))
                if (const auto t = text(piece, "/text"); !t.empty()) out.text(t);
            cite(portolan::at<json>(b, "/citationsContent/citations", json::array()), out);
        }
        end(index, out);
    }

    void event(std::string_view name, const json& j, portolan::Events& out)
    {
        const auto index = count(j, "/contentBlockIndex");
        if (name == "messageStart") return;
        if (name == "contentBlockStart") return begin(index, j.value("start", json::object()), out);
        if (name == "contentBlockDelta") return delta(blocks_[index], j.value("delta", json::object()), out);
        if (name == "contentBlockStop") return end(index, out);
        if (name == "messageStop") return stop(text(j, "/stopReason"), out);
        if (name == "metadata" && j.contains("usage")) return out.usage(usage_of(j["usage"]));
        if (name.ends_with("Exception") || j.contains("message")) out.fault(fault_of(name, text(j, "/message"), 0), text(j, "/message"));
    }

    /// Tools that the service runs itself are its own affair; what they found is in the text.
    void begin(std::int64_t index, const json& start, portolan::Events& out)
    {
        auto& block = blocks_[index] = {};
        if (start.contains("toolResult")) out.lost("tool_result");
        if (start.contains("image")) out.lost("image");
        if (!start.contains("toolUse")) return;
        if (text(start, "/toolUse/type") == "server_tool_use") return out.lost("server_tool_use");
        const auto name = text(start, "/toolUse/name");
        block.tool = true, block.answers = by_tool_ && name == bedrock::answer_tool;
        if (!block.answers) out.tool_begin(block.index = tools_++, text(start, "/toolUse/toolUseId"), name);
    }

    void delta(Block& block, const json& d, portolan::Events& out)
    {
        if (const auto t = text(d, "/text"); !t.empty()) out.text(t);
        if (block.tool && d.contains("toolUse")) arguments(block, text(d, "/toolUse/input"), out);
        if (d.contains("reasoningContent")) reason(block, d["reasoningContent"], out);
        if (d.contains("citation")) cite(json::array({d["citation"]}), out);
    }

    static void arguments(Block& block, const std::string& piece, portolan::Events& out)
    {
        if (piece.empty()) return;
        block.has_arguments = true;
        block.answers ? out.text(piece) : out.tool_args(block.index, piece);
    }

    static void reason(Block& block, const json& r, portolan::Events& out)
    {
        if (const auto t = text(r, "/text"); !t.empty()) block.bytes += t.size(), out.reasoning(t);
        block.signature += text(r, "/signature");
        if (const auto sealed = text(r, "/redactedContent"); !sealed.empty())
            out.message(json{{"reasoning_details", {{{"type", "reasoning.encrypted"}, {"data", sealed}, {"format", "anthropic-claude-v1"}}}}}.dump());
    }

    void end(std::int64_t index, portolan::Events& out)
    {
        const auto at = blocks_.find(index);
        if (at == blocks_.end()) return;
        auto& block = at->second;
        if (block.tool && !block.has_arguments) arguments(block, "{}", out);
        if (!block.signature.empty())
            out.message(json{{"reasoning_details",
                              {{{"type", "reasoning.text"}, {"signature", block.signature}, {"format", "anthropic-claude-v1"}, {"text_bytes", block.bytes}}}}}
                            .dump());
        blocks_.erase(at);
    }

    static void cite(const json& citations, portolan::Events& out)
    {
        if (!citations.empty()) out.message(json{{"citations", citations}}.dump());
    }

    void stop(const std::string& reason, portolan::Events& out)
    {
        std::vector<std::int64_t> open; // some streams leave a block unended
        for (const auto& [index, block] : blocks_) open.push_back(index);
        for (const auto index : open) end(index, out);
        out.finish(reason == "tool_use" && tools_ == 0 ? "stop" : tools_ && finish_of(reason) == "stop" ? "tool_calls" : finish_of(reason));
    }

    bool native_, stream_, by_tool_ = false;
    bedrock::Manner manner_;
    std::map<std::int64_t, Block> blocks_;
    unsigned tools_ = 0;
};

/// CountTokens, which knows models by their own ids alone, not by those of their inference profiles, and only some of them.
class Counting : public portolan::Exchange {
public:
    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        if (!counts_) throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "Bedrock does not count this model's tokens");
        bedrock::RequestWriter writer(rq.json(), rq, {});
        const auto asked = writer.write();
        json converse = json::object();
        for (const char* counted : {"messages", "system", "toolConfig", "additionalModelRequestFields"})
            if (asked.contains(counted)) converse[counted] = asked[counted];
        out.auth("key").post("/model/" + hub::percent_encoded(without_region(rq.model())) + "/count-tokens").header("content-type", "application/json");
        out.body(json{{"input", {{"converse", converse}}}}.dump());
        writer.lost().tell(out);
    }

    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        const auto tokens = count(portolan::parse(f.data()), "/inputTokens");
        if (tokens < 0) throw portolan::Error(PORTOLAN_E_UPSTREAM, "a token count without inputTokens");
        out.usage(portolan::usage(tokens, 0));
        out.finish("stop");
    }

    void classify(const portolan::Call&, const portolan::Reply& r, portolan::Events& out) override
    {
        const auto j = portolan::parse_or_none(r.body());
        const auto message = message_of(j);
        counts_ = message.find("support counting tokens") == message.npos;
        if (counts_) return refusal(r, j, out);
        out.fault(PORTOLAN_FAULT_BAD_REQUEST, message, -1, PORTOLAN_FAULT_REBUILD);
    }

private:
    static std::string_view without_region(std::string_view model)
    {
        for (const std::string_view region : {"us.", "eu.", "apac.", "jp.", "au.", "ca.", "us-gov.", "global."})
            if (model.starts_with(region)) return model.substr(region.size());
        return model;
    }

    bool counts_ = true;
};

/// ListFoundationModels, then ListInferenceProfiles: most models of today answer to a profile's id only.
class Listing : public portolan::Exchange {
public:
    Listing(std::string base, bool health) : base_(std::move(base)), health_(health) {}

    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        profiles_ = rq.step() > 0;
        out.auth("key").get(profiles_ ? "/inference-profiles?maxResults=1000&typeEquals=SYSTEM_DEFINED" : "/foundation-models?byOutputModality=TEXT", base_);
    }

    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        const auto j = portolan::parse(f.data());
        if (profiles_) {
            for (const auto& p : j.at("inferenceProfileSummaries"))
                if (text(p, "/status") == "ACTIVE") models_.push_back({{"id", text(p, "/inferenceProfileId")}});
            return out.result(json{{"data", models_}}.dump());
        }
        for (const auto& m : j.at("modelSummaries")) {
            const auto types = portolan::at<json>(m, "/inferenceTypesSupported", json::array());
            if (text(m, "/modelLifecycle/status") != "LEGACY" && std::find(types.begin(), types.end(), "ON_DEMAND") != types.end())
                models_.push_back({{"id", text(m, "/modelId")}});
        }
        if (health_) out.result(json{{"data", models_}}.dump());
    }

    bool end(const portolan::Call&, portolan::Events&) override { return !profiles_ && !health_; }

    void classify(const portolan::Call&, const portolan::Reply& r, portolan::Events& out) override { refusal(r, portolan::parse_or_none(r.body()), out); }

private:
    std::string base_;
    bool health_, profiles_ = false;
    json models_ = json::array();
};

class Bedrock : public portolan::Provider {
public:
    explicit Bedrock(const portolan::Config& c)
    {
        const auto url = json::parse(c.json).value("base_url", "");
        if (url.empty() || url.find(".amazonaws.com") != url.npos) control_ = "control"; // anything else is a gateway that has it all
    }

    std::unique_ptr<portolan::Exchange> open(const portolan::Call&, const portolan::Request& rq) const override
    {
        if (rq.op() == PORTOLAN_OP_MODELS || rq.op() == PORTOLAN_OP_HEALTH) return std::make_unique<Listing>(control_, rq.op() == PORTOLAN_OP_HEALTH);
        if (rq.op() == PORTOLAN_OP_COUNT_TOKENS) return std::make_unique<Counting>();
        return std::make_unique<Converse>(rq);
    }

private:
    std::string control_; ///< of the manifest's roots
};

} // namespace

PORTOLAN_PLUGIN(
    R"({"id":"portolan.bedrock","version":"0.1.0","license":"Apache-2.0","components":{"bedrock":{
  "kind":"portolan.provider/1","title":"Amazon Bedrock","streams":true,
  "ops":{"chat":{"native":["bedrock"],"translates":["openai"]},"count_tokens":{"translates":["openai"]},"models":{},"health":{}},
  "base_url":"https://bedrock-runtime.{config.region}.amazonaws.com","bases":{"control":"https://bedrock.{config.region}.amazonaws.com"},
  "auth":{"key":{"scheme":"sigv4","service":"bedrock","region":"{config.region}"}},
  "config":{"type":"object","properties":{
    "base_url":{"type":"string","format":"uri","title":"Base URL","description":"empty: the region's own"},
    "region":{"type":"string","default":"us-east-1","pattern":"^[a-z0-9-]+$","title":"Region","description":"also what signatures are for, unless the URL tells another"}}}}}})",
    portolan::component<Bedrock>("bedrock"))
