// Reading requests: what is refused and how, what is noted.
#include "core/features.h"
#include "dialect/dialect.h"
#include "json_suite.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>

using dialect::ChatRequest;
using nlohmann::json;

namespace {

core::Result<ChatRequest> read(std::string_view body, std::size_t depth = 64)
{
    return dialect::openai_chat().read(body, depth);
}

core::Fault refused(std::string_view body, std::size_t depth = 64)
{
    INFO(std::string(body.substr(0, 300)));
    auto result = read(body, depth);
    REQUIRE_FALSE(result.ok());
    CHECK(result.fault().kind == core::FaultKind::BadRequest);
    CHECK_FALSE(result.fault().message.empty());
    return result.fault();
}

/// A good request with some members more.
std::string with(const std::string& members)
{
    return R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}])" +
           (members.empty() ? "" : "," + members) + "}";
}
std::string with_messages(const std::string& messages) { return R"({"model":"m","messages":)" + messages + "}"; }
std::string param(const std::string& members) { return refused(with(members)).param; }

ChatRequest good(const std::string& body)
{
    static std::vector<std::unique_ptr<std::string>> kept; // requests look into their bodies
    kept.push_back(std::make_unique<std::string>(body));
    auto result = read(*kept.back());
    if (!result.ok()) FAIL(result.fault().message << " in " << body.substr(0, 300));
    return *result;
}
core::Features features(const std::string& members) { return good(with(members)).features; }
bool has(core::Features all, core::Feature one) { return (all & one) != 0; }

} // namespace

TEST_CASE("every JSON text is judged as decided, as the value of a content")
{
    for (const auto& c : json_suite()) {
        INFO(c.name);
        const auto blank = c.text.find_first_not_of(" \n\t\r");
        const char first = blank == std::string::npos ? '\0' : c.text[blank];
        const auto body = with("\"extra\":" + c.text);
        CHECK(read(body).ok() == c.good);
        const auto inside = with_messages(R"([{"role":"user","content":)" + c.text + "}]");
        const bool kind = first == '"' || first == '[' || first == 'n'; // strings, arrays and null are contents
        CHECK(read(inside).ok() == (c.good && kind));
    }
}

TEST_CASE("every JSON text is judged as decided, as a whole body")
{
    for (const auto& c : json_suite()) {
        INFO(c.name);
        const auto fault = refused(c.text); // none of them is a request
        const auto blank = c.text.find_first_not_of(" \n\t\r");
        const bool object = blank != std::string::npos && c.text[blank] == '{';
        if (c.good && object) CHECK((fault.param == "model" || fault.code == "missing_required_parameter"));
        if (c.good && !object) CHECK(fault.message.find("must be a JSON object") != std::string::npos);
        if (!c.good) CHECK((fault.code == "invalid_json" || fault.code == "duplicate_key"));
    }
    CHECK(json_suite().size() >= 120);
}

TEST_CASE("the suite is right about what JSON is")
{
    for (const auto& c : json_suite()) {
        if (std::string_view(c.name).starts_with("i:") || std::string_view(c.name) == "object duplicate key" ||
            c.text.find('\0') != std::string::npos)
            continue;
        INFO(c.name);
        CHECK(json::accept(c.text) == c.good);
    }
}

TEST_CASE("a duplicate key is refused at every depth and in every spelling, and named")
{
    CHECK(refused(R"({"model":"a","messages":[{"role":"user"}],"model":"b"})").param == "model");
    CHECK(refused(R"({"model":"a","mod\u0065l":"b","messages":[{"role":"user"}]})").param == "model");
    CHECK(refused(with(R"("stream":false,"stream":true)")).param == "stream");
    CHECK(refused(with_messages(R"([{"role":"user","role":"system"}])")).code == "duplicate_key");
    CHECK(refused(with_messages(R"([{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}])")).param ==
          "text");
    CHECK(refused(with(R"("metadata":{"x":[[{"y":1,"y":1}]]})")).param == "y");
    CHECK(refused(with(R"("tools":[{"type":"function","function":{"parameters":{"properties":{"a":{},"a":{}}}}}])"))
              .param == "a");
    CHECK(refused(with(R"("response_format":{"type":"text","type":"json_object"})")).param == "type");
    CHECK(refused(with(R"("stream_options":{"include_usage":true,"include_usage":false})")).code == "duplicate_key");
    CHECK(refused(with(R"("portolan":{"policy":"a","policy":"b"})")).code == "duplicate_key");
    CHECK(refused(with(R"("reasoning":{"effort":"low","effort":"high"})")).code == "duplicate_key");
}

TEST_CASE("a key put twice anywhere into a request is refused")
{
    const json request = json::parse(
        R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},
        {"type":"image_url","image_url":{"url":"u","detail":"low"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",
        "function":{"name":"f","arguments":"{}"}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}],
        "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"stream":true,"stream_options":{"include_usage":true},
        "reasoning":{"effort":"low"},"portolan":{"tags":{"a":"b"},"cache":{"mode":"off"}},"provider":{"max_price":{"prompt":1},"sort":{"by":"price"}},"logit_bias":{"1":1}})");
    good(request.dump());
    // Each object of the text in turn gets its first member once more.
    const auto text = request.dump();
    int tried = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '{' || text[at + 1] != '"') continue;
        const auto key = text.substr(at + 1, text.find('"', at + 2) - at);
        if (text[at + 1 + key.size()] != ':') continue; // braces inside of a string
        auto twice = text;
        twice.insert(at + 1, key + ":0,");
        CHECK(refused(twice).code == "duplicate_key");
        ++tried;
    }
    CHECK(tried >= 20);
}

TEST_CASE("bodies that are no request are refused with the reason")
{
    CHECK(refused("").code == "invalid_json");
    CHECK(refused("[]").message == "The request body must be a JSON object.");
    CHECK(refused(with("") + "x").message.find("at byte") != std::string::npos);
    CHECK(refused("\xef\xbb\xbf" + with("")).code == "invalid_json");
    CHECK(refused(with("\"a\":\"\xff\"")).message == "The request body is not valid UTF-8.");
    CHECK(refused(with("\"a\xff\":1")).message == "The request body is not valid UTF-8.");
}

TEST_CASE("bad JSON goes before bad values")
{
    CHECK(refused(R"({"model":1,"messages":[],"stream":"yes")").code == "invalid_json");
    CHECK(refused(R"({"model":1,"messages":[]})").param == "model");
}

TEST_CASE("depth over the limit is refused")
{
    const auto nested = [](std::size_t n) { return with("\"a\":" + std::string(n, '[') + std::string(n, ']')); };
    CHECK(read(nested(63)).ok());
    CHECK(refused(nested(64)).message.find("nested") != std::string::npos);
    CHECK(refused(nested(100'000)).message.find("nested") != std::string::npos);
    CHECK(refused(nested(10), 8).message.find("nested") != std::string::npos);
    CHECK(read(nested(10), 11).ok());
    const auto content = [](std::size_t n) {
        return with_messages("[{\"role\":\"user\",\"content\":" + std::string(n, '[') + std::string(n, ']') + "}]");
    };
    CHECK(read(content(61)).ok());
    CHECK(refused(content(62)).message.find("nested") != std::string::npos);
}

TEST_CASE("a model must be named by a string that can be a name")
{
    CHECK(refused(R"({"messages":[{"role":"user"}]})").param == "model");
    CHECK(refused(R"({"messages":[{"role":"user"}]})").message == "Missing required parameter: 'model'.");
    for (const char* value :
         {"1", "null", "{}", "[\"m\"]", "true", "\"\"", "\"a\\u0000b\"", "\"a\\nb\"", "\"\\ud800\"", "\"\\udfffx\""})
        CHECK(refused(R"({"messages":[{"role":"user"}],"model":)" + std::string(value) + "}").param == "model");
    CHECK(refused(R"({"messages":[{"role":"user"}],"model":")" + std::string(513, 'm') + "\"}").param == "model");
    CHECK(good(R"({"messages":[{"role":"user"}],"model":"caf\u00e9\/x"})").model == "caf\xc3\xa9/x");
    CHECK(good(R"({"messages":[{"role":"user"}],"mod\u0065l":"x"})").model == "x");
}

TEST_CASE("half a surrogate pair is taken in a text and refused in a name")
{
    CHECK(good(with_messages(R"([{"role":"user","content":"\ud800"}])")).messages == 1);
    CHECK(refused(with(R"("\ud800":1)")).code == "invalid_value");
}

TEST_CASE("messages must be a list of objects with roles")
{
    CHECK(refused(R"({"model":"m"})").param == "messages");
    CHECK(refused(R"({"model":"m"})").code == "missing_required_parameter");
    CHECK(refused(with_messages("[]")).param == "messages");
    CHECK(refused(with_messages("[]")).code == "empty_array");
    for (const char* value : {"null", "{}", "\"hi\"", "1"}) CHECK(refused(with_messages(value)).param == "messages");
    CHECK(refused(with_messages(R"([{"role":"user"},"x"])")).param == "messages[1]");
    CHECK(refused(with_messages(R"([{"content":"x"}])")).param == "messages[0].role");
    CHECK(refused(with_messages(R"([{"role":1}])")).param == "messages[0].role");
    CHECK(refused(with_messages(R"([{"role":""}])")).param == "messages[0].role");
    CHECK(refused(with_messages(R"([{"role":"user","content":5}])")).param == "messages[0].content");
    CHECK(refused(with_messages(R"([{"role":"user","content":{"a":1}}])")).param == "messages[0].content");
    CHECK(good(with_messages(R"([{"role":"assistant","content":null},{"role":"tool"},{"content":"x","role":"user"}])"))
              .messages == 3);
}

TEST_CASE("members that are read must have the right type")
{
    CHECK(param(R"("stream":"true")") == "stream");
    CHECK(param(R"("stream":1)") == "stream");
    CHECK(param(R"("stream_options":true)") == "stream_options");
    CHECK(param(R"("stream_options":{"include_usage":1})") == "stream_options.include_usage");
    CHECK(param(R"("n":0)") == "n");
    CHECK(param(R"("n":-1)") == "n");
    CHECK(param(R"("n":1.5)") == "n");
    CHECK(param(R"("n":129)") == "n");
    CHECK(param(R"("n":99999999999999999999)") == "n");
    CHECK(param(R"("n":"2")") == "n");
    CHECK(param(R"("max_tokens":0)") == "max_tokens");
    CHECK(param(R"("max_tokens":-5)") == "max_tokens");
    CHECK(param(R"("max_tokens":1e3)") == "max_tokens");
    CHECK(param(R"("max_completion_tokens":"9")") == "max_completion_tokens");
    CHECK(param(R"("tools":{})") == "tools");
    CHECK(param(R"("tools":[1])") == "tools[0]");
    CHECK(param(R"("functions":"f")") == "functions");
    CHECK(param(R"("parallel_tool_calls":"yes")") == "parallel_tool_calls");
    CHECK(param(R"("response_format":"json")") == "response_format");
    CHECK(param(R"("response_format":{"type":1})") == "response_format.type");
    CHECK(param(R"("modalities":"audio")") == "modalities");
    CHECK(param(R"("reasoning_effort":3)") == "reasoning_effort");
    CHECK(param(R"("reasoning":"high")") == "reasoning");
    CHECK(param(R"("logprobs":"x")") == "logprobs");
    CHECK(param(R"("user":7)") == "user");
    CHECK(refused(with(R"("stream":"true")")).message ==
          "Invalid type for 'stream': expected a boolean, but got a string instead.");
    CHECK(refused(with(R"("n":0)")).message ==
          "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.");
    CHECK(refused(with(R"("n":0)")).code == "integer_below_min_value");
}

TEST_CASE("null is as good as absent, and what is not known passes")
{
    const auto r = good(with(
        R"("stream":null,"n":null,"max_tokens":null,"tools":null,"tool_choice":null,"response_format":null,"user":null,
        "reasoning":null,"stream_options":null,"modalities":null,"logprobs":null,"seed":18446744073709551616,"x":{"y":[1e5]})"));
    CHECK(r.features == 0);
    CHECK(r.choices == 1);
    CHECK(r.max_output_tokens == -1);
    CHECK_FALSE(r.stream);
    CHECK_FALSE(r.usage_chosen);
    CHECK(r.extensions.empty());
}

TEST_CASE("members that would choose where our credentials go are refused by name")
{
    for (const std::string name : {"api_base", "base_url", "custom_host", "api_key", "headers"}) {
        const auto fault = refused(with('"' + name + R"(":"http://x")"));
        CHECK(fault.param == name);
        CHECK(fault.message.find(name) != std::string::npos);
    }
    CHECK(refused(with(R"("api\u005fbase":"http://x")")).param == "api_base");
    CHECK(good(with(R"("metadata":{"api_key":"x"})")).messages == 1); // below the top level they mean nothing
}

TEST_CASE("tools are needed if there are some and the choice is not none")
{
    const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
    CHECK(has(features(tools), core::Tools));
    CHECK(has(features(tools + R"(,"tool_choice":"auto")"), core::Tools));
    CHECK(has(features(tools + R"(,"tool_choice":{"type":"function","function":{"name":"f"}})"), core::Tools));
    CHECK_FALSE(has(features(tools + R"(,"tool_choice":"none")"), core::Tools));
    CHECK_FALSE(has(features(R"("tool_choice":"none",)" + tools), core::Tools));
    CHECK_FALSE(has(features(R"("tool_choice":"auto")"), core::Tools));
    CHECK_FALSE(has(features(R"("tools":[])"), core::Tools));
    CHECK(has(features(R"("functions":[{"name":"f"}])"), core::Tools));
    CHECK_FALSE(has(features(R"("functions":[{"name":"f"}],"function_call":"none")"), core::Tools));
    CHECK(good(with(tools)).tools == 1);
}

TEST_CASE("parallel tool calls are needed only if asked for")
{
    const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
    CHECK_FALSE(has(features(tools), core::ParallelTools));
    CHECK_FALSE(has(features(tools + R"(,"parallel_tool_calls":false)"), core::ParallelTools));
    CHECK(has(features(tools + R"(,"parallel_tool_calls":true)"), core::ParallelTools));
    CHECK_FALSE(has(features(R"("parallel_tool_calls":true)"), core::ParallelTools));
}

TEST_CASE("a tool that the provider runs is a server tool")
{
    CHECK(has(features(R"("tools":[{"type":"web_search"}])"), core::ServerTools));
    CHECK_FALSE(has(features(R"("tools":[{"type":"function"},{"type":"custom"}])"), core::ServerTools));
}

TEST_CASE("tool_choice that names a function needs tools even if none are there")
{
    CHECK(has(features(R"("tool_choice":{"type":"function","function":{"name":"f"}})"), core::Tools));
    CHECK(has(features(R"("function_call":{"name":"f"})"), core::Tools));
}

TEST_CASE("pictures are found wherever they hide, and counted once")
{
    const auto of = [](const std::string& content) {
        return good(with_messages(R"([{"role":"user","content":)" + content + "}]"));
    };
    CHECK(of(R"([{"type":"image_url","image_url":{"url":"data:x"}}])").images == 1);
    CHECK(of(R"([{"image_url":{"url":"data:x"},"type":"image_url"},{"type":"input_image","image_url":"u"}])").images ==
          2);
    CHECK(of(R"([{"type":"image","source":{"type":"base64","data":"x"}}])").images == 1);
    CHECK(
        of(R"([{"type":"tool_result","content":[{"type":"text","text":"a"},{"type":"image","source":{}}]}])").images ==
        1);
    CHECK(of(R"([{"image_url":"u"}])").images == 1);
    CHECK(of(R"([{"type":"text","text":"image_url"}])").images == 0);
    CHECK(of(R"("image_url")").images == 0);
    CHECK(has(of(R"([{"type":"image_url","image_url":{"url":"data:x"}}])").features, core::Images));
    CHECK_FALSE(has(of(R"([{"type":"text","text":"x"}])").features, core::Images));
}

TEST_CASE("audio, files, cache marks and prefill are noted")
{
    CHECK(has(good(with_messages(R"([{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x"}}]}])"))
                  .features,
              core::AudioIn));
    CHECK(has(good(with_messages(R"([{"role":"user","content":[{"type":"file","file":{"file_id":"x"}}]}])")).features,
              core::Files));
    CHECK(has(features(R"("modalities":["text","audio"])"), core::AudioOut));
    CHECK_FALSE(has(features(R"("modalities":["text"])"), core::AudioOut));
    CHECK(has(
        good(with_messages(
                 R"([{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}])"))
            .features,
        core::CacheMarks));
    CHECK(has(good(with_messages(R"([{"role":"user","cache_control":{}}])")).features, core::CacheMarks));
    CHECK(has(features(R"("tools":[{"type":"function","cache_control":{}}])"), core::CacheMarks));
    CHECK(has(good(with_messages(R"([{"role":"user"},{"role":"assistant","content":"{"}])")).features, core::Prefill));
    CHECK_FALSE(has(good(with_messages(R"([{"role":"assistant"},{"role":"user"}])")).features, core::Prefill));
}

TEST_CASE("formats, logprobs, choices and streaming are noted")
{
    CHECK(has(features(R"("response_format":{"type":"json_object"})"), core::JsonObject));
    CHECK(has(features(R"("response_format":{"type":"json_schema","json_schema":{}})"), core::JsonSchema));
    CHECK(features(R"("response_format":{"type":"text"})") == 0);
    CHECK(has(features(R"("logprobs":true)"), core::Logprobs));
    CHECK_FALSE(has(features(R"("logprobs":false)"), core::Logprobs));
    CHECK(has(features(R"("n":2)"), core::Choices));
    CHECK_FALSE(has(features(R"("n":1)"), core::Choices));
    CHECK(has(features(R"("stream":true)"), core::Stream));
    CHECK(good(with(R"("n":3)")).choices == 3);
}

TEST_CASE("reasoning effort becomes a number")
{
    const auto effort = [](const std::string& members) { return good(with(members)).reasoning; };
    CHECK(effort(R"("reasoning_effort":"none")") == 0);
    CHECK(effort(R"("reasoning_effort":"minimal")") == 1);
    CHECK(effort(R"("reasoning_effort":"low")") == 25);
    CHECK(effort(R"("reasoning_effort":"medium")") == 50);
    CHECK(effort(R"("reasoning_effort":"high")") == 75);
    CHECK(effort(R"("reasoning_effort":"xhigh")") == 100);
    CHECK(effort(R"("reasoning":{"effort":"max"})") == 100);
    CHECK(effort(R"("reasoning":{"effort":"low"})") == 25);
    CHECK(effort(R"("reasoning":{"max_tokens":2000})") == 50);
    CHECK(effort(R"("reasoning":{"enabled":true})") == 50);
    CHECK(effort(R"("reasoning_effort":"low","reasoning":{"effort":"high"})") == 25);
    CHECK(effort("") == 0);
    CHECK(has(features(R"("reasoning_effort":"low")"), core::Reasoning));
    CHECK_FALSE(has(features(R"("reasoning_effort":"none")"), core::Reasoning));
}

TEST_CASE("limits and usage options are read")
{
    CHECK(good(with(R"("max_tokens":10)")).max_output_tokens == 10);
    CHECK(good(with(R"("max_tokens":10,"max_completion_tokens":20)")).max_output_tokens == 20);
    const auto r = good(with(R"("stream":true,"stream_options":{"include_usage":true})"));
    CHECK((r.usage_chosen && r.usage_wanted));
    const auto no = good(with(R"("stream_options":{"include_usage":false})"));
    CHECK((no.usage_chosen && !no.usage_wanted));
    CHECK_FALSE(good(with(R"("stream_options":{})")).usage_chosen);
    CHECK(good(with(R"("user":"u\u00e9")")).user == "u\xc3\xa9");
}

TEST_CASE("tokens are estimated from texts, messages, pictures and tools")
{
    const auto text = std::string(400, 'a');
    CHECK(good(with_messages(R"([{"role":"user","content":")" + text + "\"}]")).est_input_tokens == 104);
    CHECK(
        good(with_messages(R"([{"role":"user","content":[{"type":"text","text":")" + text +
                           R"("},{"type":"image_url","image_url":{"url":"data:)" + std::string(9000, 'A') + "\"}}]}]"))
            .est_input_tokens == 104 + 85);
    std::string escaped;
    for (int i = 0; i < 400; ++i) escaped += "\\u0061";
    CHECK(good(with_messages(R"([{"role":"user","content":")" + escaped + "\"}]")).est_input_tokens == 104);
    CHECK(good(with(R"("tools":[{"a":")" + text + "\"}]")).est_input_tokens > 104);
}

TEST_CASE("the prefix is the same for one conversation and differs between two")
{
    const auto prefix = [](const std::string& messages) { return good(with_messages(messages)).prefix_hash; };
    const std::string start = R"({"role":"system","content":"S"},{"role":"user","content":"one"})";
    const auto first = prefix("[" + start + "]");
    CHECK(first != 0);
    CHECK(prefix("[" + start + R"(,{"role":"assistant","content":"x"},{"role":"user","content":"two"}])") == first);
    CHECK(prefix(R"([{"content":"S","role":"system"},{"content":[{"type":"text","text":"one"}],"role":"user"}])") ==
          first);
    CHECK(prefix(R"([{"role":"system","content":"S"},{"role":"user","content":"other"}])") != first);
    CHECK(prefix(R"([{"role":"system","content":"T"},{"role":"user","content":"one"}])") != first);
    CHECK(prefix(R"([{"role":"user","content":"S"},{"role":"system","content":"one"}])") != first);
}

TEST_CASE("a fallback chain counts only on the route that is called so")
{
    const auto r = good(with(R"("models":["a","gpt-4o","b","a"],"route":"fallback")"));
    CHECK(r.fallback_models == std::vector<std::string>{"a", "b"});
    CHECK_FALSE(r.models_cut);
    CHECK(r.extensions == std::vector<std::string>{"models", "route"});
    const auto cut = good(with(R"("models":["a","b","c","d","e","f"],"route":"fallback")"));
    CHECK(cut.fallback_models == std::vector<std::string>{"a", "b", "c", "d"});
    CHECK(cut.models_cut);
    const auto none = good(with(R"("models":["a"])"));
    CHECK(none.fallback_models.empty());
    CHECK(none.extensions == std::vector<std::string>{"models"});
    CHECK(good(with(R"("models":["a"],"route":"other")")).fallback_models.empty());
    CHECK(param(R"("models":"a")") == "models");
    CHECK(param(R"("models":[1])") == "models[0]");
    CHECK(param(R"("models":[""])") == "models[0]");
    CHECK(param(R"("route":{})") == "route");
}

TEST_CASE("portolan's own object is read and checked")
{
    const auto r = good(with(
        R"("user":"u","portolan":{"policy":"cheapest","allow":["groq/*"],"deny":["x/y"],"prefer":["a/*","b/*"],"max_cost_usd":0.25,
        "max_latency_ms":1500,"min_quality":0.5,"sticky_key":"s","include_reasoning":false,"explain":true,"allow_fallbacks":false,"tags":{"team":"red"},
        "cache":{"mode":"off","ttl":60,"scope":"key"}})"));
    CHECK(r.policy == "cheapest");
    CHECK(r.allow == std::vector<std::string>{"groq/*"});
    CHECK(r.deny == std::vector<std::string>{"x/y"});
    CHECK(r.prefer == std::vector<std::string>{"a/*", "b/*"});
    CHECK(r.max_cost_nusd == 250'000'000);
    CHECK(r.max_latency_ms == 1500);
    CHECK(r.min_quality == 0.5);
    CHECK(r.user == "s");
    CHECK_FALSE(r.include_reasoning);
    CHECK(r.explain);
    CHECK_FALSE(r.allow_fallbacks);
    CHECK(r.tags == std::vector<std::pair<std::string, std::string>>{{"team", "red"}});
    CHECK((r.cache_mode == "off" && r.cache_ttl_s == 60 && r.cache_scope == "key"));
    CHECK(r.extensions == std::vector<std::string>{"portolan"});
    CHECK(param(R"("portolan":[])") == "portolan");
    CHECK(param(R"("portolan":{"policy":1})") == "portolan.policy");
    CHECK(param(R"("portolan":{"allow":"x"})") == "portolan.allow");
    CHECK(param(R"("portolan":{"max_cost_usd":-1})") == "portolan.max_cost_usd");
    CHECK(param(R"("portolan":{"explain":"yes"})") == "portolan.explain");
    CHECK(param(R"("portolan":{"tags":{"a":1}})") == "portolan.tags.a");
    CHECK(param(R"("portolan":{"cache":{"mode":"sometimes"}})") == "portolan.cache.mode");
    CHECK(param(R"("portolan":{"cache":{"mod":"off"}})") == "portolan.cache.mod");
}

TEST_CASE("an unknown member of portolan is refused with what is nearest to it")
{
    const auto fault = refused(with(R"("portolan":{"polcy":"x"})"));
    CHECK(fault.param == "portolan.polcy");
    CHECK(fault.message == "Unknown parameter: 'portolan.polcy'. Did you mean 'policy'?");
    CHECK(refused(with(R"("portolan":{"zzzzzzzzzzzz":"x"})")).message == "Unknown parameter: 'portolan.zzzzzzzzzzzz'.");
}

TEST_CASE("OpenRouter's provider object means here what it means there")
{
    const auto r = good(with(
        R"("provider":{"order":["groq","Together"],"only":["groq"],"ignore":["deepinfra/turbo"],"allow_fallbacks":false,"require_parameters":true,"sort":"price"})"));
    CHECK(r.prefer == std::vector<std::string>{"groq/*", "Together/*"});
    CHECK(r.allow == std::vector<std::string>{"groq/*"});
    CHECK(r.deny == std::vector<std::string>{"deepinfra/*"});
    CHECK_FALSE(r.allow_fallbacks);
    CHECK(r.policy == "cheapest");
    CHECK(r.extensions == std::vector<std::string>{"provider"});
    CHECK(good(with(R"("provider":{"sort":"throughput"})")).policy == "fastest");
    CHECK(good(with(R"("provider":{"sort":"latency"})")).policy == "fastest");
    CHECK(good(with(R"("provider":{"sort":{"by":"price","partition":"none"}})")).policy == "cheapest");
    CHECK(good(with(R"("provider":{"sort":"price"},"portolan":{"policy":"fastest"})")).policy == "fastest");
    const auto priced = good(with(R"("max_tokens":1000,"provider":{"max_price":{"prompt":1,"completion":2}})"));
    CHECK(priced.max_cost_nusd == 1000 * (priced.est_input_tokens + 2 * 1000));
    CHECK(good(with(R"("provider":{"data_collection":"allow","zdr":false})")).messages == 1);
    CHECK(param(R"("provider":{"data_collection":"deny"})") == "provider.data_collection");
    CHECK(param(R"("provider":"groq")") == "provider");
    CHECK(param(R"("provider":{"sort":"best"})") == "provider.sort");
    CHECK(param(R"("provider":{"ordr":[]})") == "provider.ordr");
    CHECK(param(R"("provider":{"max_price":{"prompt":"1"}})") == "provider.max_price.prompt");
}

TEST_CASE("all members are listed by name, even if spelled with escapes")
{
    const auto r = good(R"({"model":"m","messages":[{"role":"user"}],"temperatur\u0065":1,"x":2})");
    CHECK(r.present == std::vector<std::string_view>{"model", "messages", "temperature", "x"});
}

TEST_CASE("turns are the texts of the messages in their order")
{
    const auto body = with_messages(
        R"([{"role":"developer","content":"a\n\u00e9"},{"content":[{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"u"}},
        {"type":"text","text":"c"}],"role":"user"},{"role":"assistant","content":null},{"role":"tool","content":"d"}])");
    good(body);
    const auto turns = dialect::openai_chat().turns(body);
    REQUIRE(turns.size() == 4);
    CHECK((turns[0].role == 1 && turns[0].text == "a\n\xc3\xa9"));
    CHECK((turns[1].role == 2 && turns[1].text == "b\nc"));
    CHECK((turns[2].role == 3 && turns[2].text.empty()));
    CHECK((turns[3].role == 4 && turns[3].text == "d"));
}
