#include "core/base64.h"
#include "dialect/reading.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <string>

using nlohmann::json;

namespace {

const dialect::Dialect& gemini() { return dialect::gemini_events(); }

dialect::ChatRequest read(const json& body, bool stream = false) { return test::read(gemini(), body, "gemini-2.5-flash", stream); }

json contents_with(const json& more)
{
    json body{{"contents", {{{"role", "user"}, {"parts", {{{"text", "hi"}}}}}}}};
    body.update(more);
    return body;
}

json full_contents(const json& body) { return json::parse(read(body).hub); }

json whole(const std::function<void(dialect::AnswerWriter&, std::string&)>& tell)
{
    const auto writer = gemini().writer(false, true);
    std::string out;
    writer->begin({"r1", "the-model", 1}, out);
    tell(*writer, out);
    writer->end(out);
    return json::parse(out);
}

} // namespace

TEST_CASE("model and stream come from the path")
{
    const auto seen = read(contents_with(json::object()), true);
    CHECK(seen.model == "gemini-2.5-flash");
    CHECK(seen.stream);
    CHECK_FALSE(read(contents_with(json::object())).stream);
}

TEST_CASE("trap 10: a system instruction with or without a role, in both spellings")
{
    for (const char* name : {"systemInstruction", "system_instruction"}) {
        const auto hub = full_contents(contents_with({{name, {{"role", "user"}, {"parts", {{{"text", "be kind"}}}}}}}));
        CHECK(hub["messages"][0] == json::parse(R"({"role":"system","content":"be kind"})"));
    }
}

TEST_CASE("trap 4: an unknown role is refused")
{
    CHECK_FALSE(read(contents_with({{"contents", {{{"role", "assistant"}, {"parts", {{{"text", "x"}}}}}}}})).refused.empty());
}

TEST_CASE("trap 15, 16: calls without ids get stable ones, and results find them in order")
{
    const json call{{"functionCall", {{"name", "f"}, {"args", {{"a", 1}}}}}}, bare{{"functionCall", {{"name", "f"}}}};
    const json result{{"functionResponse", {{"name", "f"}, {"response", {{"result", "one"}}}}}}, object{{"functionResponse", {{"name", "f"}, {"response", {{"x", 2}, {"y", 3}}}}}};
    const json body = contents_with({{"contents", {{{"role", "user"}, {"parts", {{{"text", "q"}}}}}, {{"role", "model"}, {"parts", {call, bare}}}, {{"role", "user"}, {"parts", {result, object}}}}}});
    const auto m = full_contents(body)["messages"];
    REQUIRE(m.size() == 4);
    const auto& calls = m[1]["tool_calls"];
    CHECK(calls[0]["id"] != calls[1]["id"]);
    CHECK(calls[1]["function"]["arguments"] == "{}"); // trap 14
    CHECK(m[2]["tool_call_id"] == calls[0]["id"]);
    CHECK(m[2]["content"] == "one"); // trap 26
    CHECK(m[3]["tool_call_id"] == calls[1]["id"]);
    CHECK(json::parse(m[3]["content"].get<std::string>()) == json::parse(R"({"x":2,"y":3})"));
    CHECK(full_contents(body) == full_contents(body));
}

TEST_CASE("trap 11: function calling modes")
{
    const auto choice = [](const json& config) {
        return full_contents(contents_with({{"tools", {{{"functionDeclarations", {{{"name", "f"}}}}}}}, {"toolConfig", {{"functionCallingConfig", config}}}}))["tool_choice"];
    };
    CHECK(choice({{"mode", "AUTO"}}) == "auto");
    CHECK(choice({{"mode", "NONE"}}) == "none");
    CHECK(choice({{"mode", "ANY"}}) == "required");
    CHECK(choice({{"mode", "ANY"}, {"allowedFunctionNames", {"f"}}})["function"]["name"] == "f");
}

TEST_CASE("trap 30: Gemini's schemas become JSON Schema")
{
    const json schema = json::parse(R"({"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true},"n":{"type":5,"items":{"type":"INTEGER"}}},"required":["n"],"propertyOrdering":["n"]})");
    const auto hub = full_contents(contents_with({{"generationConfig", {{"responseMimeType", "application/json"}, {"responseSchema", schema}}},
                                   {"tools", {{{"functionDeclarations", {{{"name", "f"}, {"parameters", schema}}}}}}}}));
    const json want = json::parse(R"({"type":"object","properties":{"type":{"type":["string","null"]},"n":{"type":"array","items":{"type":"integer"}}},"required":["n"]})");
    CHECK(hub["response_format"]["json_schema"]["schema"] == want);
    CHECK(hub["tools"][0]["function"]["parameters"] == want);
}

TEST_CASE("trap 39, 42, 43: candidates, thinking, pictures")
{
    const auto hub = full_contents(contents_with({{"contents", {{{"role", "user"}, {"parts", {{{"text", "what?"}}, {{"inlineData", {{"mimeType", "image/png"}, {"data", "QUJD"}}}}}}}}},
                                   {"generationConfig", {{"candidateCount", 2}, {"maxOutputTokens", 9}, {"thinkingConfig", {{"thinkingBudget", 1024}}}}}}));
    CHECK(hub["n"] == 2);
    CHECK(hub["max_tokens"] == 9);
    CHECK(hub["reasoning"] == json{{"max_tokens", 1024}});
    CHECK(hub["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,QUJD");
}

TEST_CASE("trap 67: a thought signature goes there and back with its call, also another provider's")
{
    const json entries[]{json::parse(R"({"type":"reasoning.encrypted","data":"c2ln","id":"c1","format":"google-gemini-v1"})"),
                         json::parse(R"({"type":"reasoning.encrypted","data":"EEE","id":"c1","format":"openai-responses-v1"})")};
    for (const auto& entry : entries) {
        const auto answer = whole([&](auto& w, auto& out) {
            w.tool_begin(0, 0, "c1", "f", out);
            w.message(0, json{{"reasoning_details", json::array({entry})}}.dump(), out);
            w.tool_args(0, 0, R"({"a":1})", out);
            w.finish(0, "tool_calls", out);
        });
        const auto content = answer["candidates"][0]["content"];
        REQUIRE(content["parts"].size() == 1);
        CHECK(core::from_base64(content["parts"][0]["thoughtSignature"].get<std::string>())); // its Python library decodes it
        const auto hub = full_contents(contents_with({{"contents", {{{"role", "user"}, {"parts", {{{"text", "q"}}}}}, content}}}));
        CHECK(hub["messages"][1]["reasoning_details"] == json::array({entry}));
    }
}

TEST_CASE("trap 70: thoughts are no part of the candidates' count")
{
    const auto answer = whole([](auto& w, auto& out) {
        w.reasoning(0, "hm", out);
        w.text(0, "x", out);
        w.finish(0, "length", out);
        w.usage({.input = 10, .cache_read = 4, .output = 9, .reasoning = 5});
    });
    CHECK(answer["usageMetadata"] == json::parse(R"({"promptTokenCount":10,"candidatesTokenCount":4,"thoughtsTokenCount":5,"cachedContentTokenCount":4,"totalTokenCount":19})"));
    CHECK(answer["candidates"][0]["finishReason"] == "MAX_TOKENS");
    CHECK(answer["candidates"][0]["content"]["parts"] == json::parse(R"([{"text":"hm","thought":true},{"text":"x"}])"));
}

TEST_CASE("trap 61: a stream is events, or one JSON array")
{
    const auto writer = dialect::gemini_array().writer(true, true);
    std::string out;
    writer->begin({"r", "m", 1}, out);
    writer->text(0, "a", out);
    writer->text(0, "b", out);
    writer->end(out);
    const auto list = json::parse(out);
    REQUIRE(list.size() == 3);
    CHECK(list[0]["candidates"][0]["content"]["parts"][0]["text"] == "a");
    CHECK(list[2]["candidates"][0]["finishReason"] == "STOP");
    CHECK(list[2].contains("usageMetadata"));
}

TEST_CASE("trap 53: errors in Google's envelope, with the delay")
{
    const core::Fault fault{.kind = core::FaultKind::RateLimited, .message = "slow", .retry_after_us = 34'400'000};
    const auto error = json::parse(gemini().error(fault, {}).body)["error"];
    CHECK((error["code"] == 429 && error["status"] == "RESOURCE_EXHAUSTED"));
    CHECK(error["details"][1]["retryDelay"] == "35s");
}

TEST_CASE("what has no place is told as lost")
{
    const auto seen = read(contents_with({{"safetySettings", {{{"category", "x"}}}}, {"tools", {{{"googleSearch", json::object()}}}}}));
    CHECK(seen.lost == std::vector<std::string>{"tools.googlesearch", "safetysettings"});
}

TEST_CASE("pages that an answer is from are its grounding")
{
    const auto answer = whole([](auto& w, auto& out) {
        w.text(0, "Ruby", out);
        w.message(0, R"({"annotations":[{"type":"url_citation","url_citation":{"url":"https://x","title":"X","start_index":0,"end_index":4}}]})", out);
        w.finish(0, "stop", out);
    });
    CHECK(answer["candidates"][0]["groundingMetadata"] == json::parse(R"({"groundingChunks":[{"web":{"uri":"https://x","title":"X"}}]})"));
}
