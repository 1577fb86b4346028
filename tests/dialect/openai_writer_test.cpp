// Answers as OpenAI's clients read them: streamed and whole.
#include "core/text.h"
#include "dialect/dialect.h"
#include "dialect/openai_chunk.h"
#include "dialect/reading.h"
#include "recordings.h"

#include <catch2/catch.hpp>

#include <functional>
#include <map>

using nlohmann::ordered_json;

namespace {

using Tell = std::function<void(dialect::AnswerWriter&, std::string&)>;

std::string written(bool stream, bool usage, const Tell& tell)
{
    const auto writer = dialect::openai_chat().writer(stream, usage);
    std::string out;
    writer->begin({"chatcmpl-1", "gpt-4o", 1700000000}, out);
    tell(*writer, out);
    if (!stream) CHECK(out.empty());
    writer->end(out);
    return out;
}

std::vector<ordered_json> chunks_of(const std::string& stream)
{
    std::vector<ordered_json> out;
    REQUIRE(stream.ends_with("\n\n"));
    for (std::size_t at = 0; at < stream.size();) { // strictly: one data line and a blank line per event
        const auto end = stream.find("\n\n", at);
        const auto event = stream.substr(at, end - at);
        REQUIRE(event.starts_with("data: "));
        REQUIRE(event.find('\n') == event.npos);
        at = end + 2;
        if (event == "data: [DONE]") {
            CHECK(at == stream.size());
            return out;
        }
        out.push_back(ordered_json::parse(event.substr(6)));
    }
    FAIL("no [DONE]");
    return out;
}

struct Answer { ///< what a client makes of it
    std::string role, text, reasoning, refusal, reason;
    struct Call {
        std::string id, name, arguments;
    };
    std::vector<Call> calls;
};

std::map<int, Answer> assembled(const std::vector<ordered_json>& chunks)
{
    std::map<int, Answer> out;
    for (const auto& chunk : chunks) {
        CHECK(chunk["object"] == "chat.completion.chunk");
        CHECK(chunk["id"] == chunks[0]["id"]);
        CHECK(chunk["model"] == chunks[0]["model"]);
        CHECK(chunk["created"] == chunks[0]["created"]);
        REQUIRE(chunk["choices"].is_array());
        for (const auto& choice : chunk["choices"]) {
            REQUIRE(choice["index"].is_number_integer());
            auto& a = out[choice["index"].get<int>()];
            const auto& delta = choice["delta"];
            REQUIRE(delta.is_object());
            if (delta.contains("role")) {
                CHECK(a.role.empty());
                a.role = delta["role"];
            }
            CHECK(a.role == "assistant"); // it comes first
            if (delta.contains("content") && !delta["content"].is_null()) a.text += delta["content"].get<std::string>();
            if (delta.contains("reasoning_content")) {
                CHECK(delta["reasoning_content"] == delta["reasoning"]);
                a.reasoning += delta["reasoning"].get<std::string>();
            }
            if (delta.contains("refusal")) a.refusal += delta["refusal"].get<std::string>();
            if (delta.contains("tool_calls"))
                for (const auto& call : delta["tool_calls"]) {
                    const auto index = call["index"].get<std::size_t>();
                    if (index == a.calls.size()) {
                        CHECK(call["type"] == "function");
                        CHECK_FALSE(call["id"].get<std::string>().empty());
                        a.calls.push_back({call["id"], call["function"]["name"], {}});
                    } else
                        CHECK_FALSE(
                            (call.contains("id") || call.contains("type") || call["function"].contains("name")));
                    REQUIRE(index < a.calls.size());
                    a.calls[index].arguments += call["function"]["arguments"].get<std::string>();
                }
            REQUIRE(choice.contains("finish_reason"));
            if (!choice["finish_reason"].is_null()) {
                CHECK(a.reason.empty());
                a.reason = choice["finish_reason"];
            }
        }
    }
    return out;
}

std::map<int, Answer> streamed(const Tell& tell) { return assembled(chunks_of(written(true, false, tell))); }
ordered_json whole(const Tell& tell) { return ordered_json::parse(written(false, true, tell)); }

const Tell hello = [](dialect::AnswerWriter& w, std::string& out) {
    w.text(0, "Hel", out);
    w.text(0, "lo \"you\"\n", out);
    w.finish(0, "stop", out);
};

const Tell two_calls = [](dialect::AnswerWriter& w, std::string& out) {
    w.tool_begin(0, 3, "call_a", "weather", out);
    w.tool_args(0, 3, "{\"city\":", out);
    w.tool_args(0, 3, "\"Rome\"}", out);
    w.tool_begin(0, 5, "call_b", "time", out);
    w.finish(0, "stop", out);
};

} // namespace

TEST_CASE("a streamed text comes in order, with one role and one finish reason")
{
    const auto answers = streamed(hello);
    REQUIRE(answers.size() == 1);
    const auto& a = answers.at(0);
    CHECK((a.role == "assistant" && a.text == "Hello \"you\"\n" && a.reason == "stop"));
}

TEST_CASE("a whole text is one completion with everything that clients ask of it")
{
    const auto j = whole([](auto& w, auto& out) {
        hello(w, out);
        w.usage({.input = 3, .cache_read = 1, .output = 2, .reasoning = 0});
    });
    CHECK(j["id"] == "chatcmpl-1");
    CHECK(j["object"] == "chat.completion");
    CHECK(j["created"] == 1700000000);
    CHECK(j["model"] == "gpt-4o");
    REQUIRE(j["choices"].size() == 1);
    const auto& c = j["choices"][0];
    CHECK((c["index"] == 0 && c["finish_reason"] == "stop" && c["message"]["role"] == "assistant" &&
           c["message"]["content"] == "Hello \"you\"\n"));
    CHECK(c["message"]["refusal"].is_null());
    CHECK_FALSE(c["message"].contains("tool_calls"));
    CHECK(
        j["usage"] ==
        ordered_json::parse(
            R"({"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":0}})"));
}

TEST_CASE("tool calls are numbered from 0, whatever the provider calls them")
{
    const auto a = streamed(two_calls).at(0);
    REQUIRE(a.calls.size() == 2);
    CHECK((a.calls[0].id == "call_a" && a.calls[0].name == "weather" && a.calls[0].arguments == R"({"city":"Rome"})"));
    CHECK((a.calls[1].id == "call_b" && a.calls[1].arguments == "{}"));
    CHECK(a.reason == "tool_calls");
    const auto j = whole(two_calls)["choices"][0];
    CHECK(j["message"]["content"].is_null());
    CHECK(j["finish_reason"] == "tool_calls");
    CHECK(j["message"]["tool_calls"] ==
          ordered_json::parse(
              R"([{"id":"call_a","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}},
        {"id":"call_b","type":"function","function":{"name":"time","arguments":"{}"}}])"));
}

TEST_CASE("two calls never share an index, and one call is never begun twice")
{
    const Tell tell = [](auto& w, auto& out) {
        w.tool_begin(0, 0, "a", "f", out);
        w.tool_begin(0, 0, "a", "f", out);
        w.tool_args(0, 0, "{}", out);
        w.tool_begin(0, 0, "b", "g", out);
        w.tool_args(0, 0, "[]", out);
        w.finish(0, "tool_use", out);
    };
    const auto a = streamed(tell).at(0);
    REQUIRE(a.calls.size() == 2);
    CHECK((a.calls[0].arguments == "{}" && a.calls[1].arguments == "[]" && a.calls[1].name == "g"));
    CHECK(whole(tell)["choices"][0]["message"]["tool_calls"].size() == 2);
}

TEST_CASE("a tool call without an id gets one, the same at every time")
{
    const Tell tell = [](auto& w, auto& out) {
        w.tool_begin(0, 0, "", "f", out);
        w.tool_begin(0, 1, "", "f", out);
    };
    const auto a = streamed(tell).at(0);
    const auto b = streamed(tell).at(0);
    REQUIRE(a.calls.size() == 2);
    CHECK(a.calls[0].id != a.calls[1].id);
    CHECK(a.calls[0].id == b.calls[0].id);
    CHECK(whole(tell)["choices"][0]["message"]["tool_calls"][0]["id"] == a.calls[0].id);
}

TEST_CASE("reasoning goes out under both names and apart from the text")
{
    const Tell tell = [](auto& w, auto& out) {
        w.reasoning(0, "hm", out);
        w.text(0, "yes", out);
        w.finish(0, "end_turn", out);
    };
    const auto a = streamed(tell).at(0);
    CHECK((a.reasoning == "hm" && a.text == "yes" && a.reason == "stop"));
    const auto m = whole(tell)["choices"][0]["message"];
    CHECK((m["reasoning"] == "hm" && m["reasoning_content"] == "hm" && m["content"] == "yes"));
}

TEST_CASE("several choices keep apart and each ends once")
{
    const Tell tell = [](auto& w, auto& out) {
        w.text(1, "b", out);
        w.text(0, "a", out);
        w.finish(0, "stop", out);
        w.finish(0, "length", out);
        w.finish(1, "max_tokens", out);
    };
    const auto a = streamed(tell);
    REQUIRE(a.size() == 2);
    CHECK((a.at(0).text == "a" && a.at(0).reason == "stop" && a.at(1).text == "b" && a.at(1).reason == "length"));
    const auto j = whole(tell)["choices"];
    CHECK((j[0]["index"] == 0 && j[1]["index"] == 1 && j[1]["finish_reason"] == "length" &&
           j[0]["finish_reason"] == "stop"));
}

TEST_CASE("an answer without events is an empty one, and still one choice")
{
    const Tell nothing = [](auto&, auto&) {};
    const auto a = streamed(nothing);
    REQUIRE(a.size() == 1);
    CHECK((a.at(0).text.empty() && a.at(0).role == "assistant" && a.at(0).reason == "stop"));
    CHECK(whole(nothing)["choices"][0]["message"]["content"] == "");
}

TEST_CASE("finish reasons become OpenAI's")
{
    const auto reason = [](const char* said) {
        return streamed([&](auto& w, auto& out) {
                   w.text(0, "x", out);
                   w.finish(0, said, out);
               })
            .at(0)
            .reason;
    };
    CHECK(reason("stop_sequence") == "stop");
    CHECK(reason("pause_turn") == "stop");
    CHECK(reason("eos") == "stop");
    CHECK(reason("") == "stop");
    CHECK(reason("MAX_TOKENS") == "length");
    CHECK(reason("SAFETY") == "content_filter");
    CHECK(reason("refusal") == "content_filter");
    CHECK(reason("content_filter") == "content_filter");
    CHECK(reason("tool_calls") == "stop"); // there were none: a client would wait for them
}

TEST_CASE("characters that a piece cuts are joined before they are sent")
{
    const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    for (std::size_t first = 0; first <= text.size(); ++first)
        for (std::size_t second = first; second <= text.size(); ++second) {
            const Tell tell = [&](auto& w, auto& out) {
                for (const auto& piece :
                     {text.substr(0, first), text.substr(first, second - first), text.substr(second)}) {
                    w.text(0, piece, out);
                    w.reasoning(1, piece, out);
                }
                w.tool_begin(2, 0, "i", "f", out);
                for (const auto& piece :
                     {text.substr(0, first), text.substr(first, second - first), text.substr(second)})
                    w.tool_args(2, 0, piece, out);
            };
            const auto a = streamed(tell);
            REQUIRE(a.at(0).text == text);
            REQUIRE(a.at(1).reasoning == text);
            REQUIRE(a.at(2).calls.at(0).arguments == text);
            REQUIRE(whole(tell)["choices"][0]["message"]["content"] == text);
        }
}

TEST_CASE("a character that is never finished becomes U+FFFD")
{
    const Tell tell = [](auto& w, auto& out) { w.text(0, "a\xe2\x82", out); };
    CHECK(streamed(tell).at(0).text.starts_with("a\xef\xbf\xbd"));
    CHECK(core::is_utf8(written(false, false, tell)));
}

TEST_CASE("usage comes last with no choices, if it was wanted and is known")
{
    const Tell tell = [](auto& w, auto& out) {
        w.text(0, "x", out);
        w.usage({.input = 1, .output = 1});
        w.usage({.input = 5, .output = 7, .estimated = true});
    };
    const auto with = chunks_of(written(true, true, tell));
    REQUIRE(with.back()["choices"].empty());
    CHECK(with.back()["usage"] ==
          ordered_json::parse(R"({"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"estimated":true})"));
    for (std::size_t i = 0; i + 1 < with.size(); ++i) CHECK_FALSE(with[i].contains("usage"));
    assembled(with);
    for (const auto& chunk : chunks_of(written(true, false, tell))) CHECK_FALSE(chunk.contains("usage"));
    for (const auto& chunk : chunks_of(written(true, true, hello))) CHECK_FALSE(chunk.contains("usage"));
}

TEST_CASE("members of the message that have no event go into the delta and, put end to end, into the message")
{
    const Tell tell = [](auto& w, auto& out) {
        w.message(0, R"({"reasoning_details":[{"type":"reasoning.text","signature":"a"}]})", out);
        w.message(0, "no object", out);
        w.text(0, "hi", out);
        w.message(0, R"({"reasoning_details":[{"type":"reasoning.encrypted","data":"b"}],"refusal":"No.","gone":null})", out);
        w.finish(0, "stop", out);
    };
    const auto message = whole(tell)["choices"][0]["message"];
    CHECK(message["content"] == "hi");
    CHECK(message["refusal"] == "No.");
    CHECK_FALSE(message.contains("gone"));
    CHECK(message["reasoning_details"] ==
          ordered_json::parse(R"([{"type":"reasoning.text","signature":"a"},{"type":"reasoning.encrypted","data":"b"}])"));
    ordered_json details = ordered_json::array();
    for (const auto& chunk : chunks_of(written(true, false, tell)))
        for (const auto& choice : chunk["choices"])
            for (const auto& d : choice["delta"].value("reasoning_details", ordered_json::array())) details.push_back(d);
    CHECK(details == message["reasoning_details"]);
}

TEST_CASE("extra members go into the next chunk or the whole object, and never over ours")
{
    const Tell tell = [](auto& w, auto& out) {
        w.extra(R"({"citations":["u"],"id":"evil","model":"evil"})", out);
        w.text(0, "x", out);
        w.extra(R"({"late":1})", out);
        w.extra("no object", out);
        w.extra(R"({"late":2})", out);
    };
    const auto chunks = chunks_of(written(true, false, tell));
    CHECK(chunks[0]["citations"] == ordered_json::parse(R"(["u"])"));
    CHECK_FALSE(chunks[1].contains("citations"));
    CHECK(chunks[1]["late"] == 2);
    assembled(chunks);
    const auto j = whole(tell);
    CHECK((j["late"] == 2 && j["id"] == "chatcmpl-1" && j["citations"].size() == 1));
    const auto last = chunks_of(written(true, false, [](auto& w, auto& out) {
        hello(w, out);
        w.extra(R"({"late":1})", out);
    }));
    CHECK((last.back()["late"] == 1 && last.back()["choices"].empty()));
}

TEST_CASE("a provider's own chunks are written anew: one id, one role, one finish reason, usage at the end")
{
    // traps 41, 57, 58, 59, 60: a role in each delta, an id that changes, two finish reasons, usage beside a choice, a tier nobody knows
    const Tell tell = [&](auto& w, auto& out) {
        w.chunk(R"({"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"a":1}]})", out);
        w.chunk(R"({"id":"a","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"x"},"finish_reason":""}],"service_tier":"on_demand"})", out);
        w.chunk(R"({"id":"b","created":6,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"y"},"finish_reason":"eos"}]})", out);
        w.chunk(R"({"id":"b","created":7,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}})", out);
        w.chunk("broken", out);
        w.chunk("", out);
        w.chunk("[DONE]", out);
    };
    const auto chunks = chunks_of(written(true, true, tell));
    int roles = 0, finishes = 0, usages = 0;
    std::string text;
    for (const auto& c : chunks) {
        CHECK((c["id"] == "chatcmpl-1" && c["created"] == 1700000000 && !c.contains("service_tier")));
        usages += c.contains("usage");
        for (const auto& choice : c["choices"]) {
            roles += choice["delta"].contains("role");
            finishes += !choice["finish_reason"].is_null();
            text += choice["delta"].value("content", "");
        }
    }
    CHECK((roles == 1 && finishes == 1 && usages == 1 && text == "xy"));
    CHECK((chunks.back()["choices"].empty() && chunks.back()["usage"]["total_tokens"] == 3));
    for (const auto& c : chunks_of(written(true, false, tell))) CHECK_FALSE(c.contains("usage"));
}

TEST_CASE("a provider's tool calls are counted from 0, have ids, and are named once")
{
    // traps 18 to 23: no id, no index, a first index of 1, names repeated, "stop" although there are calls
    const auto a = streamed([](auto& w, auto& out) {
                       w.chunk(R"({"choices":[{"index":0,"delta":{"content":"","tool_calls":[{"index":1,"id":"","function":{"name":"f","arguments":""}}]}}]})", out);
                       w.chunk(R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":null,"function":{"name":"f","arguments":"{\"a\":"}}]}}]})", out);
                       w.chunk(R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"","function":{"name":"","arguments":"1}"}}]}}]})", out);
                       w.chunk(R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"second","function":{"name":"g","arguments":{"b":2}}}]},"finish_reason":"stop"}]})", out);
                   }).at(0);
    REQUIRE(a.calls.size() == 2);
    CHECK((a.calls[0].arguments == R"({"a":1})" && a.calls[0].id.starts_with("call_") && a.calls[0].name == "f"));
    CHECK((a.calls[1].arguments == R"({"b":2})" && a.calls[1].id == "second"));
    CHECK(a.reason == "tool_calls");
}

TEST_CASE("chunks are put together for a client that wants it whole")
{
    const auto j = whole([](auto& w, auto& out) {
        for (
            const char* chunk :
            {R"({"id":"u","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":{"content":[],"refusal":null}}],"system_fingerprint":"fp"})",
             R"({"choices":[{"index":0,"delta":{"reasoning":"hm","reasoning_content":"hm"}}]})",
             R"({"choices":[{"index":0,"delta":{"content":"A\u00e9"},"logprobs":{"content":[{"token":"A"}],"refusal":null}}]})",
             R"({"choices":[{"index":0,"delta":{"content":"B","annotations":[{"a":1}]},"logprobs":{"content":[{"token":"B"}],"refusal":null}}]})",
             R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]})",
             R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}}]})",
             R"({"choices":[{"index":1,"delta":{"refusal":"no"},"finish_reason":"stop"}]})",
             R"({"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]})",
             R"({"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":6}})", "broken"})
            w.chunk(chunk, out);
    });
    const auto& m = j["choices"][0]["message"];
    CHECK((m["content"] == "A\xc3\xa9"
                           "B" &&
           m["reasoning"] == "hm" && m["annotations"].size() == 1));
    CHECK(m["tool_calls"][0]["function"]["arguments"] == R"({"a":1})");
    CHECK(j["choices"][0]["finish_reason"] == "tool_calls");
    CHECK(j["choices"][0]["logprobs"]["content"].size() == 2);
    CHECK((j["choices"][1]["message"]["refusal"] == "no" && j["choices"][1]["message"]["content"].is_null()));
    CHECK((j["usage"]["total_tokens"] == 10 && j["system_fingerprint"] == "fp"));
}

TEST_CASE("legacy function calls survive being put together")
{
    const auto j = whole([](auto& w, auto& out) {
        w.chunk(
            R"({"choices":[{"index":0,"delta":{"role":"assistant","content":null,"function_call":{"name":"f","arguments":""}}}]})",
            out);
        w.chunk(R"({"choices":[{"index":0,"delta":{"function_call":{"arguments":"{}"}}}]})", out);
        w.chunk(R"({"choices":[{"index":0,"delta":{},"finish_reason":"function_call"}]})", out);
    })["choices"][0];
    CHECK(j["message"]["function_call"] == ordered_json::parse(R"({"name":"f","arguments":"{}"})"));
    CHECK((j["finish_reason"] == "function_call" && j["message"]["content"].is_null()));
}

TEST_CASE("a provider's whole result is written anew, whole or streamed")
{
    const std::string result =
        R"({"id":"up","object":"chat.completion","created":5,"model":"m","service_tier":"","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,
        "reasoning":"hm","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2},"x":7})";
    const auto j = ordered_json::parse(written(false, false, [&](auto& w, auto& out) {
        w.extra(R"({"y":8})", out);
        w.result(result, out);
    }));
    CHECK((j["id"] == "chatcmpl-1" && j["y"] == 8 && j["x"] == 7 && !j.contains("service_tier") && j["usage"]["total_tokens"] == 3));
    CHECK((j["choices"][0]["message"]["content"] == "Hi" && j["choices"][0]["message"]["reasoning_content"] == "hm"));
    const auto chunks = chunks_of(written(true, true, [&](auto& w, auto& out) { w.result(result, out); }));
    const auto a = assembled(chunks).at(0);
    CHECK((a.text == "Hi" && a.reasoning == "hm" && a.calls.size() == 1 && a.calls[0].arguments == "{}" &&
           a.reason == "tool_calls"));
    CHECK((chunks.back()["usage"]["total_tokens"] == 3 && chunks.back()["x"] == 7));
}

TEST_CASE("content as an array of parts becomes text and reasoning")
{
    const auto a =
        streamed([](auto& w, auto& out) {
            w.result(
                R"({"choices":[{"index":0,"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hi"}]},"finish_reason":"stop"}]})",
                out);
        }).at(0);
    CHECK((a.reasoning == "hm" && a.text == "Hi"));
}

TEST_CASE("trap 59: members that are there and empty are not there")
{
    const auto out = ordered_json::parse(written(false, true, [](auto& w, auto& o) {
        w.result(R"({"choices":[{"index":0,"finish_reason":"","message":{"role":"assistant","content":"hi","refusal":"",
            "function_call":{"name":"","arguments":""},"tool_calls":null}}]})", o);
    }));
    CHECK(out["choices"][0]["finish_reason"] == "stop");
    CHECK_FALSE(out["choices"][0]["message"].contains("function_call"));
}

TEST_CASE("trap 65: reasoning that is in reasoning_details alone is told as reasoning, each entry once")
{
    const std::string message = R"({"role":"assistant","content":"so","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s"}]})";
    const auto whole = ordered_json::parse(written(false, true, [&](auto& w, auto& o) { w.result(R"({"choices":[{"index":0,"message":)" + message + "}]}", o); }));
    CHECK(whole["choices"][0]["message"]["reasoning_content"] == "hm");
    CHECK(whole["choices"][0]["message"]["reasoning_details"].size() == 1);
    const auto streamed = assembled(chunks_of(written(true, true, [&](auto& w, auto& o) { w.chunk(R"({"choices":[{"index":0,"delta":)" + message + "}]}", o); })));
    CHECK(streamed.at(0).reasoning == "hm");
    CHECK(streamed.at(0).text == "so");
}

TEST_CASE("JSON that an upstream writes on several lines is on one in a stream")
{
    const nlohmann::json result{{"id", "c"}, {"citations", {"https://x.example"}}, {"choices", {{{"index", 0}, {"text", "hi"}, {"logprobs", {{"content", {{{"token", "hi"}, {"logprob", -0.1}}}}}},
        {"message", {{"role", "assistant"}, {"content", "hi"}, {"annotations", {{{"type", "url_citation"}}}}}}, {"finish_reason", "stop"}}}}};
    const auto as_result = [&](auto& w, auto& to) { w.result(result.dump(2), to); };
    const auto as_chunk = [&](auto& w, auto& to) { w.chunk(result.dump(2), to); };
    for (const auto& out : {test::written(dialect::openai_chat(), "c-1", true, as_result), test::written(dialect::openai_chat(), "c-1", true, as_chunk),
                            test::written(dialect::openai_completions(), "c-1", true, as_result), test::written(dialect::openai_completions(), "c-1", true, as_chunk)}) {
        CHECK(out.find("\"hi\"") != out.npos);
        std::size_t lines = 0;
        for (std::size_t at = 0, end; (end = out.find('\n', at)) != out.npos; at = end + 1, ++lines) {
            INFO(out);
            CHECK((end == at || out.compare(at, 6, "data: ") == 0));
        }
        CHECK(lines >= 4);
    }
}

TEST_CASE("nothing is written after the end")
{
    const auto out = written(true, true, [](auto& w, auto& o) {
        hello(w, o);
        w.end(o);
    });
    CHECK(out.find("[DONE]") == out.rfind("[DONE]"));
}

TEST_CASE("what is written is read as what it says")
{
    dialect::ChunkFacts facts;
    const auto chunks = chunks_of(written(true, true, [](auto& w, auto& out) {
        two_calls(w, out);
        w.usage({.input = 1, .output = 2});
    }));
    bool content = false, finished = false;
    for (const auto& chunk : chunks) {
        const auto text = chunk.dump();
        dialect::read_openai(text, false, facts);
        CHECK((facts.valid && facts.id == "chatcmpl-1" && facts.model == "gpt-4o" && !facts.error));
        content = content || facts.content;
        finished = finished || facts.finished;
    }
    CHECK((content && finished && facts.choices_empty && facts.usage.output == 2));
}

TEST_CASE("every recorded stream reads the same passed on as put together and cut again")
{
    int compared = 0;
    const bool there = recordings::each("chat", [&](const std::string& file, const ordered_json& recording) {
        const auto& response = recording["response"];
        if (!response.contains("body_text") || !recording.value("stream", false) || response["status"] != 200) return;
        INFO(file);
        const auto events = recordings::events(response["body_text"].get<std::string>());
        std::map<int, std::string> text, arguments; // by choice
        for (const auto& event : events) {
            const auto j = ordered_json::parse(event, nullptr, false);
            if (!j.is_object() || !j.contains("choices") || !j["choices"].is_array()) continue;
            int place = 0;
            for (const auto& choice : j["choices"]) {
                const int index = choice.value("index", place++);
                const auto delta = choice.value("delta", ordered_json::object());
                if (delta.is_object() && delta.contains("content") && delta["content"].is_string())
                    text[index] += delta["content"].get<std::string>();
                if (delta.is_object() && delta.contains("content") && delta["content"].is_array())
                    for (const auto& part : delta["content"]) text[index] += part.value("text", "");
                if (delta.is_object() && delta.contains("tool_calls") && delta["tool_calls"].is_array())
                    for (const auto& call : delta["tool_calls"])
                        if (call.contains("function") && call["function"].contains("arguments") &&
                            call["function"]["arguments"].is_string())
                            arguments[index] += call["function"]["arguments"].get<std::string>();
            }
        }
        const auto result = written(false, true, [&](auto& w, auto& out) {
            for (const auto& event : events) w.chunk(event, out);
        });
        const auto j = ordered_json::parse(result);
        const auto again =
            assembled(chunks_of(written(true, true, [&](auto& w, auto& out) { w.result(result, out); })));
        for (const auto& choice : j["choices"]) {
            const int index = choice["index"];
            const auto& m = choice["message"];
            const auto content = m["content"].is_null() ? "" : m["content"].get<std::string>();
            if (!text[index].empty()) CHECK(content == text[index]);
            CHECK(again.at(index).text == content);
            CHECK(again.at(index).reason == choice["finish_reason"]);
            std::string all;
            if (m.contains("tool_calls"))
                for (const auto& call : m["tool_calls"])
                    all += call["function"]["arguments"] == "{}" && arguments[index].empty()
                               ? ""
                               : call["function"]["arguments"].get<std::string>();
            std::string mine;
            for (const auto& call : again.at(index).calls) mine += call.arguments;
            CHECK((all == arguments[index] || all.find("{}") != all.npos));
            if (!arguments[index].empty()) CHECK(mine == all);
        }
        ++compared;
    });
    if (there) CHECK(compared > 150);
}
