#include "check/samples.h"

#include <algorithm>
#include <regex>

namespace check {

namespace {

json number_for(const json& property)
{
    const double low = property.value("minimum", property.value("maximum", 1.0) < 1 ? property.value("maximum", 1.0) : 1.0);
    if (property.value("type", json()) == "integer") return static_cast<std::int64_t>(low);
    return low;
}

std::string text_for(const json& property)
{
    if (property.value("format", "") == "uri") return "http://127.0.0.1:9/v1";
    const auto pattern = property.value("pattern", "");
    if (pattern.empty()) return "sample";
    const std::regex wanted(pattern);
    for (const char* text : {"sample", "us-east-1", "/v1", "2024-10-21", "1", "http://127.0.0.1:9", "A", "project-1", "a.b", "a/b"})
        if (std::regex_search(text, wanted)) return text;
    return "sample";
}

json request(const char* op, const plugin::OpLists& lists, json body)
{
    json r{{"op", op}, {"dialect", "openai"}, {"model", "m-1"}};
    const auto& names = lists.translates.empty() ? lists.native : lists.translates;
    if (!names.empty() && std::find(names.begin(), names.end(), "openai") == names.end()) r["dialect"] = names.front();
    if (!body.is_null()) r["json"] = std::move(body);
    return r;
}

json body_for(const std::string& op)
{
    const json chat = json::parse(R"({"model":"m-1","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}],"max_tokens":16})");
    if (op == "chat") return chat;
    if (op == "completions") return {{"model", "m-1"}, {"prompt", "hello"}};
    if (op == "embeddings") return {{"model", "m-1"}, {"input", {"hello", "you"}}};
    if (op == "moderations") return {{"model", "m-1"}, {"input", "hello"}};
    if (op == "rerank") return {{"model", "m-1"}, {"query", "hello"}, {"documents", {"a", "b"}}};
    if (op == "speech") return {{"model", "m-1"}, {"input", "hello"}, {"voice", "alloy"}};
    if (op == "count_tokens") return chat;
    return {};
}

/// Events of a stream, each with its blank line.
json sse(std::initializer_list<const char*> events)
{
    std::string body;
    for (const char* e : events) body += std::string(e) + "\n\n";
    return {{"kind", "sse"}, {"content_type", "text/event-stream"}, {"body", body}};
}

json whole(const char* body) { return {{"kind", "whole"}, {"content_type", "application/json"}, {"body", body}}; }

std::vector<json> usual_replies()
{
    return {
        whole(R"({"id":"c-1","object":"chat.completion","created":1,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hello you"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}})"),
        sse({R"(data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}]})",
             R"(data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"delta":{"content":" you"},"finish_reason":null}]})",
             R"(data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}})",
             "data: [DONE]"}),
        whole(R"({"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[{"type":"text","text":"hello you"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}})"),
        sse({"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m-1\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}",
             "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
             "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello you\"}}",
             "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}",
             "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}",
             "event: message_stop\ndata: {\"type\":\"message_stop\"}"}),
        whole(R"({"candidates":[{"content":{"role":"model","parts":[{"text":"hello you"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"m-1"})"),
        sse({R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"index":0}],"usageMetadata":{"promptTokenCount":3},"modelVersion":"m-1"})",
             R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":" you"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"m-1"})"}),
        {{"kind", "line"}, {"content_type", "application/x-ndjson"},
         {"body", "{\"model\":\"m-1\",\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},\"done\":false}\n"
                  "{\"model\":\"m-1\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":2}\n"}},
        whole(R"({"object":"list","model":"m-1","data":[{"object":"embedding","index":0,"embedding":[0.5,0.25]}],"usage":{"prompt_tokens":3,"total_tokens":3}})"),
        whole(R"({"object":"list","data":[{"id":"m-1","object":"model","created":1,"owned_by":"x"}]})"),
        whole(R"({"text":"hello you","words":2})"),
    };
}

} // namespace

json value_for(const json& property)
{
    if (property.contains("default")) return property.at("default");
    if (property.contains("enum") && !property.at("enum").empty()) return property.at("enum").front();
    const auto type = property.value("type", json());
    if (type == "string") return text_for(property);
    if (type == "number" || type == "integer") return number_for(property);
    if (type == "boolean") return false;
    if (type == "array") return json::array();
    if (type == "object") return smallest_config(property);
    return "sample";
}

json smallest_config(const json& schema)
{
    json config = json::object();
    const auto properties = schema.value("properties", json::object());
    for (const auto& name : schema.value("required", json::array())) {
        const auto key = name.get<std::string>();
        config[key] = value_for(properties.value(key, json::object()));
    }
    return config;
}

std::vector<json> sample_requests(const plugin::Component& about)
{
    std::vector<json> out;
    for (const auto& [op, lists] : about.ops) {
        auto body = body_for(op);
        if (body.is_null() && !lists.bodyless) continue;
        out.push_back(request(op.c_str(), lists, body));
        if (op != "chat" || !about.streams) continue;
        body["stream"] = true;
        out.push_back(request(op.c_str(), lists, body));
        out.back()["stream"] = true;
    }
    return out;
}

const std::vector<json>& sample_replies()
{
    static const auto replies = usual_replies();
    return replies;
}

const std::vector<std::string>& hostile_bodies()
{
    static const std::vector<std::string> bodies = {
        "",
        "null",
        "[]",
        "{}",
        "\"",
        "{\"choices\":7,\"error\":[],\"content\":null,\"text\":{},\"usage\":\"many\"}",
        R"({"choices":[null,{"index":-1,"delta":null,"message":[]},{"index":99999999999999999999}],"usage":{"prompt_tokens":-5,"completion_tokens":1e300}})",
        R"({"type":"message_start","message":5,"delta":"x","index":4294967296,"content_block":null})",
        std::string("\xff\xfe{\"text\":\"\x00\x01\"}", 16),
        std::string(5000, '['),
        "{\"text\":\"" + std::string(200'000, 'x') + "\"}",
        "<html><body>502 Bad Gateway</body></html>",
    };
    return bodies;
}

const std::vector<json>& hostile_replies()
{
    static const auto replies = [] {
        std::vector<json> out;
        for (const auto& body : hostile_bodies()) {
            out.push_back({{"kind", "whole"}, {"content_type", "application/json"}, {"body", body}});
            out.push_back({{"kind", "sse"}, {"content_type", "text/event-stream"}, {"body", "event: x\ndata: " + body + "\n\ndata:\n\ndata: " + body + "\n\n"}});
            out.push_back({{"kind", "line"}, {"content_type", "application/x-ndjson"}, {"body", body + "\n"}});
            out.push_back({{"kind", "raw"}, {"content_type", ""}, {"body", body}});
        }
        return out;
    }();
    return replies;
}

json snapshot_of(std::size_t n)
{
    json candidates = json::array();
    for (std::size_t i = 0; i < n; ++i) {
        json c{{"id", "e" + std::to_string(i % 7) + "/m" + std::to_string(100 + i * 37 % n)}, {"endpoint", "e" + std::to_string(i % 7)}, {"model", "m" + std::to_string(i)}};
        c["weight"] = i % 5, c["recent"] = i % 3, c["in_flight"] = i % 4;
        c["cost"] = i % 11 == 10 ? std::int64_t{-1} : static_cast<std::int64_t>(i * 7919 % 97);
        c["price_input"] = i * 31 % 17 * 100'000, c["price_output"] = i * 13 % 19 * 300'000;
        c["ttft_p50_us"] = 1000 + i * 17 % 29 * 1000, c["ttft_p95_us"] = 5000 + i * 17 % 29 * 1000, c["token_us"] = 100 + i % 9;
        c["error_rate"] = double(i % 4) / 10, c["headroom"] = 1.0 - double(i % 5) / 10;
        if (i % 6) c["quality"] = double(i % 10) / 10;
        c["labels"] = {{"tier", i % 2 ? "weak" : "strong"}};
        c["flags"] = i % 13 == 7 ? json{"cooling"} : i % 13 == 9 ? json{"over_limit"} : i % 3 == 1 ? json{"local"} : json::array();
        candidates.push_back(std::move(c));
    }
    return {{"sequence", 5 + n}, {"route", "auto"}, {"affinity", "somebody"}, {"affinity_candidate", n > 1 ? 1 : -1}, {"candidates", std::move(candidates)}};
}

std::vector<json> sample_snapshots()
{
    std::vector<json> out;
    for (const std::size_t n : {0u, 1u, 2u, 20u, 65u, 300u}) out.push_back(snapshot_of(n));
    out[3]["affinity_candidate"] = -1;
    out.push_back(snapshot_of(5));
    for (auto& c : out.back()["candidates"]) c["flags"] = {"cooling", "over_limit"}, c["weight"] = 0, c["cost"] = -1;
    return out;
}

} // namespace check
