#include "core/json_scan.h"
#include "dialect/reading.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

using nlohmann::json;

namespace {

const dialect::Dialect& messages() { return dialect::anthropic_messages(); }

dialect::ChatRequest read_messages(const json& body) { return test::read(messages(), body); }

json messages_with(const json& more)
{
    json body{{"model", "m"}, {"max_tokens", 100}, {"messages", json::array({{{"role", "user"}, {"content", "hi"}}})}};
    body.update(more);
    return body;
}

json full_messages(const json& body) { return json::parse(read_messages(body).hub); }

struct Plain {
    json body;
    std::vector<std::string> lost;
    std::string refused;
    [[nodiscard]] bool has_lost(const std::string& name) const { return std::find(lost.begin(), lost.end(), name) != lost.end(); }
};
Plain plain(const json& body)
{
    const auto text = body.dump();
    auto form = messages().hub(text, true);
    return {json::parse(form.json), form.lost, form.refused};
}

using test::Tell;

std::string written(bool stream, const Tell& tell) { return test::written(messages(), "msg_1", stream, tell); }

std::vector<json> events(const std::string& out)
{
    std::vector<json> list;
    for (std::size_t at = 0; at < out.size();) {
        const auto end = out.find("\n\n", at);
        const auto event = out.substr(at, end - at);
        const auto line = event.find("\ndata: ");
        REQUIRE(line != event.npos);
        list.push_back(json::parse(event.substr(line + 7)));
        CHECK(event.substr(0, line) == "event: " + list.back()["type"].get<std::string>()); // trap 56
        at = end + 2;
    }
    return list;
}

/// The message that the events make, as Anthropic's own clients put it together.
json assembled(const std::string& out)
{
    json message;
    std::vector<std::string> inputs;
    bool open = false;
    for (const auto& e : events(out)) {
        const auto type = e["type"].get<std::string>();
        if (type == "message_start")
            message = e["message"];
        else if (type == "content_block_start") {
            CHECK_FALSE(open);
            CHECK(e["index"] == message["content"].size()); // without gaps: trap 62
            message["content"].push_back(e["content_block"]);
            inputs.emplace_back();
            open = true;
        } else if (type == "content_block_delta") {
            REQUIRE(open);
            auto& block = message["content"].back();
            const auto& d = e["delta"];
            CHECK(e["index"] == message["content"].size() - 1);
            if (d["type"] == "text_delta") block["text"] = block["text"].get<std::string>() + d["text"].get<std::string>();
            if (d["type"] == "thinking_delta") block["thinking"] = block["thinking"].get<std::string>() + d["thinking"].get<std::string>();
            if (d["type"] == "signature_delta") block["signature"] = d["signature"];
            if (d["type"] == "input_json_delta") inputs.back() += d["partial_json"].get<std::string>();
        } else if (type == "content_block_stop") {
            if (!inputs.back().empty()) message["content"].back()["input"] = json::parse(inputs.back());
            open = false;
        } else if (type == "message_delta") {
            message["stop_reason"] = e["delta"]["stop_reason"];
            for (const auto& [name, value] : e["usage"].items()) message["usage"][name] = value;
        }
    }
    CHECK_FALSE(open);
    return message;
}

/// Streamed and whole answers say the same.
json told(const Tell& tell)
{
    const auto whole = json::parse(written(false, tell));
    const auto streamed = assembled(written(true, tell));
    CHECK(streamed["content"] == whole["content"]);
    CHECK(streamed["stop_reason"] == whole["stop_reason"]);
    return whole;
}

} // namespace

TEST_CASE("trap 1: top-level and inline system texts stay in their order")
{
    const auto hub = full_messages(messages_with({{"system", {{{"type", "text"}, {"text", "a"}}, {{"type", "text"}, {"text", "b"}}}},
                                   {"messages", {{{"role", "user"}, {"content", "x"}}, {{"role", "system"}, {"content", "c"}}}}}));
    CHECK(hub["messages"] == json::parse(R"([{"role":"system","content":"a\nb"},{"role":"user","content":"x"},{"role":"system","content":"c"}])"));
}

TEST_CASE("trap 3: empty texts are left out")
{
    const auto hub = full_messages(messages_with({{"messages", {{{"role", "user"}, {"content", {{{"type", "text"}, {"text", ""}}, {{"type", "text"}, {"text", "x"}}}}}}}}));
    CHECK(hub["messages"][0]["content"] == json::parse(R"([{"type":"text","text":"x"}])"));
}

TEST_CASE("trap 6: tool results become messages of their own, before the text beside them")
{
    const auto hub = full_messages(messages_with({{"messages",
                                    {{{"role", "assistant"}, {"content", {{{"type", "tool_use"}, {"id", "t1"}, {"name", "f"}, {"input", {{"a", 1}}}}}}},
                                     {{"role", "user"},
                                      {"content",
                                       {{{"type", "text"}, {"text", "so?"}},
                                        {{"type", "tool_result"}, {"tool_use_id", "t1"}, {"content", "one"}},
                                        {{"type", "tool_result"}, {"tool_use_id", "t2"}, {"content", {{{"type", "text"}, {"text", "two"}}}}}}}}}}}));
    const auto& m = hub["messages"];
    REQUIRE(m.size() == 4);
    CHECK(m[0]["content"].is_null()); // trap 46
    CHECK(m[0]["tool_calls"] == json::parse(R"([{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}])"));
    CHECK(m[1] == json::parse(R"({"role":"tool","tool_call_id":"t1","content":"one"})"));
    CHECK(m[2] == json::parse(R"({"role":"tool","tool_call_id":"t2","content":"two"})"));
    CHECK(m[3] == json::parse(R"({"role":"user","content":"so?"})"));
}

TEST_CASE("trap 11, 12: tool choices, and parallel calls beside them")
{
    const json tools{{{"name", "f"}, {"input_schema", {{"type", "object"}}}}};
    const auto choice = [&](const json& c) { return full_messages(messages_with({{"tools", tools}, {"tool_choice", c}})); };
    CHECK(choice({{"type", "auto"}})["tool_choice"] == "auto");
    CHECK(choice({{"type", "any"}})["tool_choice"] == "required");
    CHECK(choice({{"type", "none"}})["tool_choice"] == "none");
    CHECK(choice({{"type", "tool"}, {"name", "f"}})["tool_choice"] == json::parse(R"({"type":"function","function":{"name":"f"}})"));
    CHECK(choice({{"type", "auto"}, {"disable_parallel_tool_use", true}})["parallel_tool_calls"] == false);
    CHECK_FALSE(choice({{"type", "auto"}}).contains("parallel_tool_calls"));
}

TEST_CASE("trap 13: an answer without any block is a message with empty content")
{
    const auto message = told([](auto&, auto&) {});
    CHECK(message["content"] == json::array());
    CHECK(message["stop_reason"] == "end_turn");
}

TEST_CASE("trap 14: no arguments are an empty object on both sides")
{
    const auto message = told([](auto& w, auto& out) {
        w.tool_begin(0, 0, "a", "f", out);
        w.finish(0, "tool_calls", out);
    });
    CHECK(message["content"][0]["input"] == json::object());
    const auto hub = full_messages(messages_with({{"messages", {{{"role", "assistant"}, {"content", {{{"type", "tool_use"}, {"id", "a"}, {"name", "f"}, {"input", json::object()}}}}}}}}));
    CHECK(hub["messages"][0]["tool_calls"][0]["function"]["arguments"] == "{}");
}

TEST_CASE("trap 18, 21: a call without an id gets one; said twice it is one call")
{
    const auto message = told([](auto& w, auto& out) {
        w.tool_begin(0, 0, "", "f", out);
        w.tool_begin(0, 0, "", "f", out);
        w.tool_args(0, 0, "{\"a\":", out);
        w.tool_begin(0, 0, "", "", out);
        w.tool_args(0, 0, "1}", out);
        w.finish(0, "stop", out); // trap 23
    });
    REQUIRE(message["content"].size() == 1);
    CHECK_FALSE(message["content"][0]["id"].get<std::string>().empty());
    CHECK(message["content"][0]["input"] == json{{"a", 1}});
    CHECK(message["stop_reason"] == "tool_use");
}

TEST_CASE("trap 19, 20: blocks come one after the other even if calls are told at the same time")
{
    const auto message = told([](auto& w, auto& out) {
        w.reasoning(0, "hm", out);
        w.text(0, "let me see", out);
        w.tool_begin(0, 1, "a", "f", out);
        w.tool_begin(0, 2, "b", "g", out);
        w.tool_args(0, 2, "{\"y\":2}", out);
        w.tool_args(0, 1, "{\"x\":", out);
        w.tool_args(0, 1, "1}", out);
        w.finish(0, "tool_calls", out);
    });
    REQUIRE(message["content"].size() == 4);
    CHECK(message["content"][0]["thinking"] == "hm");
    CHECK(message["content"][1]["text"] == "let me see");
    CHECK(message["content"][2]["input"] == json{{"x", 1}});
    CHECK(message["content"][3]["input"] == json{{"y", 2}});
}

TEST_CASE("trap 25, 27: pictures and failures of tools")
{
    const json body = messages_with({{"messages",
                                {{{"role", "user"},
                                  {"content",
                                   {{{"type", "tool_result"},
                                     {"tool_use_id", "t"},
                                     {"is_error", true},
                                     {"content", {{{"type", "text"}, {"text", "no"}}, {{"type", "image"}, {"source", {{"type", "base64"}, {"media_type", "image/png"}, {"data", "QUJD"}}}}}}}}}}}}});
    const auto hub = full_messages(body);
    CHECK(hub["messages"][0]["is_error"] == true);
    CHECK(hub["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,QUJD");
    const auto p = plain(body);
    CHECK(p.body["messages"][0] == json::parse(R"({"role":"tool","tool_call_id":"t","content":"Error: no"})"));
    CHECK(p.body["messages"][1]["role"] == "user");
    CHECK(p.body["messages"][1]["content"][0]["image_url"]["url"] == "data:image/png;base64,QUJD");
    CHECK(p.lost.empty());
    CHECK(read_messages(body).images == 1);
}

TEST_CASE("trap 29: tools that the provider would run are told as lost")
{
    const json body = messages_with({{"tools", {{{"type", "web_search_20250305"}, {"name", "web_search"}}, {{"name", "f"}, {"input_schema", {{"type", "object"}}}}}}});
    const auto seen = read_messages(body);
    CHECK(json::parse(seen.hub)["tools"].size() == 1);
    CHECK(seen.lost == std::vector<std::string>{"tools.web_search_20250305"});
    CHECK_FALSE(full_messages(messages_with({{"tools", {{{"type", "web_search_20250305"}, {"name", "w"}}}}, {"tool_choice", {{"type", "any"}}}})).contains("tool_choice"));
}

TEST_CASE("trap 32: structured output, by either name")
{
    const json format{{"type", "json_schema"}, {"schema", {{"type", "object"}}}};
    for (const auto& body : {messages_with({{"output_config", {{"format", format}}}}), messages_with({{"output_format", format}})}) {
        const auto hub = full_messages(body);
        CHECK(hub["response_format"]["type"] == "json_schema");
        CHECK(hub["response_format"]["json_schema"]["schema"] == format["schema"]);
    }
}

TEST_CASE("trap 34: a refusal is told by the stop reason")
{
    const auto message = told([](auto& w, auto& out) { w.result(R"({"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"No."},"finish_reason":"stop"}]})", out); });
    CHECK(message["stop_reason"] == "refusal");
    CHECK(message["content"][0]["text"] == "No.");
}

TEST_CASE("trap 38: stop sequences, of which OpenAI takes four")
{
    const json body = messages_with({{"stop_sequences", {"a", "b", "c", "d", "e"}}});
    CHECK(full_messages(body)["stop"].size() == 5);
    CHECK(plain(body).body["stop"].size() == 4);
    CHECK(plain(body).has_lost("stop_sequences"));
}

TEST_CASE("trap 42: thinking becomes an allowance, or the nearest effort")
{
    const json body = messages_with({{"thinking", {{"type", "enabled"}, {"budget_tokens", 4000}}}});
    CHECK(full_messages(body)["reasoning"] == json{{"max_tokens", 4000}});
    CHECK(plain(body).body["reasoning_effort"] == "medium");
    const json adaptive = messages_with({{"thinking", {{"type", "adaptive"}}}, {"output_config", {{"effort", "max"}}}});
    CHECK(full_messages(adaptive)["reasoning_effort"] == "max");
    CHECK(plain(adaptive).body["reasoning_effort"] == "high");
    CHECK_FALSE(plain(messages_with({{"thinking", {{"type", "disabled"}}}})).body.contains("reasoning_effort"));
}

TEST_CASE("trap 44: a document that the form cannot hold is refused, not left out")
{
    const json body = messages_with({{"messages", {{{"role", "user"}, {"content", {{{"type", "document"}, {"source", {{"type", "url"}, {"url", "https://x.test/a.pdf"}}}}}}}}}});
    CHECK(full_messages(body)["messages"][0]["content"][0]["file"]["file_url"] == "https://x.test/a.pdf");
    CHECK_FALSE(plain(body).refused.empty());
}

TEST_CASE("trap 66: signatures and redacted thinking go there and back unchanged")
{
    const json blocks = json::parse(R"([{"type":"thinking","thinking":"t","signature":"sig=="},{"type":"redacted_thinking","data":"xyz"},{"type":"text","text":"a"}])");
    const json body = messages_with({{"messages", {{{"role", "user"}, {"content", "q"}}, {{"role", "assistant"}, {"content", blocks}}, {{"role", "user"}, {"content", "r"}}}}});
    const auto hub = full_messages(body);
    const auto details = hub["messages"][1]["reasoning_details"];
    REQUIRE(details.size() == 2);
    CHECK(hub["messages"][1]["reasoning_content"] == "t");
    const auto message = told([&](auto& w, auto& out) {
        w.reasoning(0, "t", out);
        w.message(0, json{{"reasoning_details", json::array({details[0]})}}.dump(), out);
        w.message(0, json{{"reasoning_details", json::array({details[1]})}}.dump(), out);
        w.text(0, "a", out);
        w.finish(0, "stop", out);
    });
    CHECK(message["content"][0]["signature"] == "sig==");
    CHECK(message["content"][0]["thinking"] == "t");
    CHECK(message["content"][1]["data"] == "xyz");
    CHECK(plain(body).has_lost("messages.thinking"));
}

TEST_CASE("trap 67: another provider's signature survives in a redacted block")
{
    const json entry = json::parse(R"({"type":"reasoning.encrypted","data":"AAA","id":"call_1","format":"google-gemini-v1"})");
    const auto message = told([&](auto& w, auto& out) {
        w.tool_begin(0, 0, "call_1", "f", out);
        w.message(0, json{{"reasoning_details", json::array({entry})}}.dump(), out);
        w.finish(0, "tool_calls", out);
    });
    REQUIRE(message["content"].size() == 2);
    CHECK(message["content"][1]["type"] == "redacted_thinking");
    const auto hub = full_messages(messages_with({{"messages", {{{"role", "assistant"}, {"content", message["content"]}}}}}));
    CHECK(hub["messages"][0]["reasoning_details"] == json::array({entry}));
}

TEST_CASE("trap 69, 72: what was read from and written to a cache is no input in Anthropic's count")
{
    const auto message = told([](auto& w, auto& out) {
        w.text(0, "x", out);
        w.finish(0, "stop", out);
        dialect::Counts counts{.input = 100, .cache_read = 60, .output = 7, .reasoning = 3};
        counts.cache_write = 30, counts.cache_write_long = 10;
        w.usage(counts);
    });
    CHECK(message["usage"]["input_tokens"] == 10);
    CHECK(message["usage"]["cache_read_input_tokens"] == 60);
    CHECK(message["usage"]["cache_creation"] == json::parse(R"({"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10})"));
    CHECK(message["usage"]["output_tokens_details"]["thinking_tokens"] == 3);
    const auto odd = json::parse(written(false, [](auto& w, auto&) { w.usage({.input = 23, .cache_read = 158, .output = 1}); }));
    CHECK(odd["usage"]["input_tokens"] == 0);
}

TEST_CASE("trap 72: cache marks stay in the full form and are lost in the plain one")
{
    const json mark{{"type", "ephemeral"}};
    const json body = messages_with({{"system", {{{"type", "text"}, {"text", "s"}, {"cache_control", mark}}}}});
    CHECK(full_messages(body)["messages"][0]["content"][0]["cache_control"] == mark);
    CHECK(plain(body).body["messages"][0]["content"] == "s");
    CHECK(plain(body).has_lost("cache_control"));
}

TEST_CASE("trap 74: finish reasons in Anthropic's words")
{
    const auto reason = [](std::string_view said) {
        return json::parse(written(false, [&](auto& w, auto& out) {
            w.text(0, "x", out);
            w.finish(0, said, out);
        }))["stop_reason"];
    };
    CHECK(reason("stop") == "end_turn");
    CHECK(reason("length") == "max_tokens");
    CHECK(reason("content_filter") == "refusal");
    CHECK(reason("eos") == "end_turn");
}

TEST_CASE("what nobody knows here is told as lost, our own members are read")
{
    const auto seen = read_messages(messages_with({{"mcp_servers", json::array()}, {"portolan", {{"explain", true}}}}));
    CHECK(seen.lost == std::vector<std::string>{"mcp_servers"});
    CHECK(seen.explain);
    CHECK(seen.extensions == std::vector<std::string>{"portolan"});
}

TEST_CASE("a request without messages, or with a key twice, is refused in Anthropic's envelope")
{
    for (const std::string body : {R"({"model":"m"})", R"({"model":"m","messages":"x"})", R"({"model":"m","model":"n","messages":[]})", "[1]"}) {
        const auto result = messages().read(body, 64);
        REQUIRE_FALSE(result.ok());
        const auto error = messages().error(result.fault(), {});
        CHECK(error.status == 400);
        CHECK(json::parse(error.body)["type"] == "error");
        CHECK(json::parse(error.body)["error"]["type"] == "invalid_request_error");
    }
}

TEST_CASE("trap 53: an overloaded upstream is 529, and an error in a stream is an event")
{
    const core::Fault fault{.kind = core::FaultKind::Overloaded, .message = "busy"};
    CHECK(messages().error(fault, {}).status == 529);
    CHECK(json::parse(messages().error(fault, {}).body)["error"]["type"] == "overloaded_error");
    CHECK(messages().error_event(fault, true).starts_with("event: error\ndata: {"));
}
