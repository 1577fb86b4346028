#include "dialect/reading.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

using nlohmann::json;

namespace {

const dialect::Dialect& responses() { return dialect::openai_responses(); }

dialect::ChatRequest read(const json& body) { return test::read(responses(), body); }

json request(const json& more)
{
    json body{{"model", "m"}, {"input", "hi"}};
    body.update(more);
    return body;
}

json full(const json& body) { return json::parse(read(body).hub); }

using test::Tell;

std::string written(bool stream, const Tell& tell) { return test::written(responses(), "resp_1", stream, tell); }

std::vector<json> events(const std::string& out)
{
    std::vector<json> list;
    for (std::size_t at = 0; at < out.size();) {
        const auto end = out.find("\n\n", at), data = out.find("\ndata: ", at);
        list.push_back(json::parse(out.substr(data + 7, end - data - 7)));
        CHECK(out.substr(at, data - at) == "event: " + list.back()["type"].get<std::string>());
        CHECK(list.back()["sequence_number"] == list.size() - 1);
        at = end + 2;
    }
    return list;
}

std::vector<std::string> types(const std::vector<json>& list)
{
    std::vector<std::string> out;
    for (const auto& e : list) out.push_back(e["type"]);
    return out;
}

} // namespace

TEST_CASE("trap 63: a text is told in the whole set of events, and the last one has everything")
{
    const auto list = events(written(true, [](auto& w, auto& out) {
        w.text(0, "he", out);
        w.text(0, "llo", out);
        w.finish(0, "stop", out);
        w.usage({.input = 9, .cache_read = 4, .output = 5, .reasoning = 2});
    }));
    CHECK(types(list) == std::vector<std::string>{"response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
                                                  "response.output_text.delta", "response.output_text.delta", "response.output_text.done",
                                                  "response.content_part.done", "response.output_item.done", "response.completed"});
    const auto& last = list.back()["response"];
    CHECK(last["output"][0]["content"][0]["text"] == "hello");
    CHECK(last["output"][0] == list[8]["item"]);
    CHECK(last["usage"]["total_tokens"] == 14);
    CHECK(last["usage"]["input_tokens_details"]["cached_tokens"] == 4);
    CHECK(last["usage"]["output_tokens_details"]["reasoning_tokens"] == 2);
    CHECK_FALSE(list[0]["response"].contains("usage"));
}

TEST_CASE("trap 63: a call's last event has its name and all of its arguments")
{
    const auto list = events(written(true, [](auto& w, auto& out) {
        w.reasoning(0, "hm", out);
        w.tool_begin(0, 0, "call_9", "f", out);
        w.tool_args(0, 0, "{\"a\":", out);
        w.tool_args(0, 0, "1}", out);
        w.finish(0, "tool_calls", out);
    }));
    const auto done = std::find_if(list.begin(), list.end(), [](const json& e) { return e["type"] == "response.function_call_arguments.done"; });
    REQUIRE(done != list.end());
    CHECK((*done)["name"] == "f");
    CHECK((*done)["arguments"] == "{\"a\":1}");
    const auto& output = list.back()["response"]["output"];
    REQUIRE(output.size() == 2);
    CHECK(output[0]["summary"][0]["text"] == "hm");
    CHECK(output[1]["call_id"] == "call_9");
}

TEST_CASE("trap 52: an error in a stream is flat, and response.failed comes behind it")
{
    const auto writer = responses().writer(true, true);
    std::string out;
    writer->begin({"resp_1", "m", 1}, out);
    writer->text(0, "half", out);
    REQUIRE(writer->fail({.kind = core::FaultKind::Truncated, .message = "gone"}, out));
    const auto list = events(out);
    CHECK(list[list.size() - 2]["message"] == "gone");
    CHECK(list.back()["type"] == "response.failed");
    CHECK(list.back()["response"]["status"] == "failed");
}

TEST_CASE("a length stop is an incomplete response")
{
    const auto response = json::parse(written(false, [](auto& w, auto& out) {
        w.text(0, "x", out);
        w.finish(0, "length", out);
    }));
    CHECK(response["status"] == "incomplete");
    CHECK(response["incomplete_details"]["reason"] == "max_output_tokens");
}

TEST_CASE("trap 78: input is a string or items, and instructions come first")
{
    CHECK(full(request({{"instructions", "be kind"}}))["messages"] == json::parse(R"([{"role":"system","content":"be kind"},{"role":"user","content":"hi"}])"));
    const auto hub = full(request({{"input",
                                    {{{"role", "user"}, {"content", {{{"type", "input_text"}, {"text", "q"}}, {{"type", "input_image"}, {"image_url", "https://x.test/i.png"}}}}},
                                     {{"type", "function_call"}, {"call_id", "c1"}, {"name", "f"}, {"arguments", "{}"}},
                                     {{"type", "function_call"}, {"call_id", "c2"}, {"name", "g"}, {"arguments", ""}},
                                     {{"type", "function_call_output"}, {"call_id", "c1"}, {"output", "one"}},
                                     {{"type", "function_call_output"}, {"call_id", "c2"}, {"output", {{{"type", "input_text"}, {"text", "two"}}}}},
                                     {{"role", "assistant"}, {"content", {{{"type", "output_text"}, {"text", "a"}}}}}}}}));
    const auto& m = hub["messages"];
    REQUIRE(m.size() == 5);
    CHECK(m[0]["content"][1]["image_url"]["url"] == "https://x.test/i.png");
    CHECK(m[1]["tool_calls"].size() == 2); // one turn of the model
    CHECK(m[1]["tool_calls"][1]["function"]["arguments"] == "{}"); // trap 14
    CHECK(m[2] == json::parse(R"({"role":"tool","tool_call_id":"c1","content":"one"})"));
    CHECK(m[3]["content"] == "two");
    CHECK(m[4] == json::parse(R"({"role":"assistant","content":"a"})"));
}

TEST_CASE("trap 77: what needs state is refused by name, and only where nobody keeps it")
{
    for (const json& more : {json{{"previous_response_id", "resp_0"}}, json{{"store", true}}, json{{"background", true}}, json{{"conversation", "c"}}}) {
        const auto seen = read(request(more));
        CHECK(seen.refused.find('`' + more.begin().key() + '`') != seen.refused.npos);
    }
    CHECK(read(request({{"store", false}, {"previous_response_id", nullptr}, {"background", false}})).refused.empty());
}

TEST_CASE("trap 68: an encrypted reasoning item goes there and back")
{
    const json entry = json::parse(R"({"type":"reasoning.encrypted","data":"AAA","id":"call_1","format":"google-gemini-v1"})");
    const auto response = json::parse(written(false, [&](auto& w, auto& out) {
        w.message(0, json{{"reasoning_details", json::array({entry})}}.dump(), out);
        w.tool_begin(0, 0, "call_1", "f", out);
        w.finish(0, "tool_calls", out);
    }));
    json input = response["output"];
    input.push_back({{"type", "function_call_output"}, {"call_id", "call_1"}, {"output", "x"}});
    const auto hub = full(request({{"input", input}}));
    CHECK(hub["messages"][0]["reasoning_details"] == json::array({entry}));
    CHECK(hub["messages"][0]["tool_calls"][0]["id"] == "call_1");
    const json own = json::parse(R"([{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"EEE"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}])");
    const auto back = full(request({{"input", own}}))["messages"][0]["reasoning_details"][0];
    CHECK(back == json::parse(R"({"type":"reasoning.encrypted","data":"EEE","id":"rs_1","format":"openai-responses-v1"})"));
}

TEST_CASE("trap 29, 32: tools, structured output and what is lost")
{
    const auto seen = read(request({{"tools", {{{"type", "function"}, {"name", "f"}, {"parameters", {{"type", "object"}}}, {"strict", true}}, {{"type", "web_search"}}}},
                                    {"tool_choice", {{"type", "function"}, {"name", "f"}}},
                                    {"text", {{"format", {{"type", "json_schema"}, {"name", "n"}, {"schema", {{"type", "object"}}}}}, {"verbosity", "low"}}},
                                    {"reasoning", {{"effort", "low"}, {"summary", "auto"}}}}));
    const auto hub = json::parse(seen.hub);
    CHECK(hub["tools"].size() == 1);
    CHECK(hub["tool_choice"]["function"]["name"] == "f");
    CHECK(hub["response_format"]["json_schema"]["name"] == "n");
    CHECK(hub["reasoning_effort"] == "low");
    CHECK(hub["verbosity"] == "low");
    CHECK(seen.lost == std::vector<std::string>{"tools.web_search"});
}

TEST_CASE("trap 67: a seal that stands behind its call stays in the call's turn")
{
    const auto call = [](const char* id) { return json{{"type", "function_call"}, {"call_id", id}, {"name", "f"}, {"arguments", "{}"}}; };
    const json seal{{"type", "reasoning"}, {"summary", json::array()}, {"encrypted_content", "c2VhbA=="}};
    const json result{{"type", "function_call_output"}, {"call_id", "a"}, {"output", "1"}}, other{{"type", "function_call_output"}, {"call_id", "b"}, {"output", "2"}};
    const auto hub = full(request({{"input", {{{"role", "user"}, {"content", "q"}}, call("a"), seal, call("b"), result, other}}}));
    REQUIRE(hub["messages"].size() == 4);
    CHECK(hub["messages"][1]["tool_calls"].size() == 2);
    CHECK(hub["messages"][1]["reasoning_details"][0]["data"] == "c2VhbA==");
    CHECK(hub["messages"][2]["tool_call_id"] == "a");
}

TEST_CASE("trap 77: a reference to a thought is told as lost, one to anything else needs state")
{
    const auto with = [](const char* id) { return request({{"input", {{{"role", "user"}, {"content", "q"}}, {{"type", "item_reference"}, {"id", id}}}}}).dump(); };
    const auto thought = with("rs_1"), call = with("fc_1");
    const auto kept = responses().hub(thought, false);
    CHECK(kept.refused.empty());
    CHECK(kept.lost == std::vector<std::string>{"input.item_reference"});
    CHECK(responses().hub(call, false).refused.find("item_reference") != std::string::npos);
}

TEST_CASE("pages that a text is from are annotations, told one by one and in the whole")
{
    const auto list = events(written(true, [](auto& w, auto& out) {
        w.text(0, "Ruby", out);
        w.message(0, R"({"annotations":[{"type":"url_citation","url_citation":{"url":"https://x","title":"X","start_index":0,"end_index":4}},{"type":"file"}]})", out);
        w.finish(0, "stop", out);
    }));
    const auto added = std::find_if(list.begin(), list.end(), [](const json& e) { return e["type"] == "response.output_text.annotation.added"; });
    REQUIRE(added != list.end());
    CHECK((*added)["annotation"] == json::parse(R"({"type":"url_citation","start_index":0,"end_index":4,"url":"https://x","title":"X"})"));
    const auto& part = list.back()["response"]["output"][0]["content"][0];
    CHECK(part["annotations"] == json::array({(*added)["annotation"]}));
}
