// What is read from chunks and completions that pass through.
#include "dialect/openai_chunk.h"
#include "recordings.h"

#include <catch2/catch.hpp>

#include <random>

using dialect::ChunkFacts;
using nlohmann::ordered_json;

namespace {

ChunkFacts facts_of(std::string_view json, bool whole = false)
{
    ChunkFacts facts;
    facts.content = facts.finished = facts.error = true; // left over from another chunk
    dialect::read_openai(json, whole, facts);
    return facts;
}
ChunkFacts delta(const std::string& delta)
{
    return facts_of(R"({"id":"1","choices":[{"index":0,"delta":)" + delta + R"(,"finish_reason":null}]})");
}

} // namespace

TEST_CASE("a usual chunk says its id, model and that it has content")
{
    const auto f = facts_of(
        R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}],"usage":null})");
    CHECK((f.valid && f.content && !f.finished && !f.choices_empty && !f.error));
    CHECK(f.id == "chatcmpl-1");
    CHECK(f.model == "gpt-4o");
    CHECK_FALSE(f.usage.said());
}

TEST_CASE("a role alone is no content, nor is anything empty")
{
    for (const char* d :
         {R"({"role":"assistant"})", R"({"role":"assistant","content":""})", R"({"content":null})", "{}",
          R"({"tool_calls":[]})", R"({"tool_calls":null})", R"({"reasoning":""})", R"({"reasoning_details":[]})",
          R"({"refusal":null})", R"({"audio":{ }})", R"({"annotations":[1]})"})
        CHECK_FALSE(delta(d).content);
}

TEST_CASE("text, tool calls, refusals, audio and reasoning are content")
{
    for (const char* d :
         {R"({"content":" "})", R"({"content":[{"type":"text","text":"x"}]})", R"({"tool_calls":[{"index":0}]})",
          R"({"function_call":{"name":"f"}})", R"({"refusal":"no"})", R"({"audio":{"id":"a"}})", R"({"reasoning":"r"})",
          R"({"reasoning_content":"r"})", R"({"reasoning_details":[{}]})"})
        CHECK(delta(d).content);
}

TEST_CASE("a finish reason is content and an end, if it is one")
{
    const auto f = facts_of(R"({"choices":[{"delta":{},"finish_reason":"stop"}]})");
    CHECK((f.content && f.finished && f.finish == "stop"));
    CHECK_FALSE(facts_of(R"({"choices":[{"delta":{},"finish_reason":""}]})").finished);
    CHECK_FALSE(facts_of(R"({"choices":[{"delta":{},"finish_reason":null}]})").finished);
    CHECK_FALSE(facts_of(R"({"choices":[{"delta":{}}]})").finished);
    CHECK(facts_of(R"({"choices":[{"finish_reason":"length"}]})").finish == "length");
    CHECK(facts_of(R"({"choices":[{"delta":{},"finish_reason":1}]})").finish == "1");
    CHECK(facts_of(R"({"choices":[{"index":0,"finish_reason":null},{"index":1,"finish_reason":"stop"}]})").finished);
}

TEST_CASE("choices are told apart by their index, wherever it stands, and by their place without one")
{
    const auto f = facts_of(R"({"choices":[{"finish_reason":"stop","index":2},{"index":0,"delta":{"content":"x"}}]})");
    CHECK(f.choices == 0b101);
    CHECK(f.ended == 0b100);
    CHECK(facts_of(R"({"choices":[{"delta":{}},{"finish_reason":"stop"}]})").ended == 0b10);
    CHECK(facts_of(R"({"choices":[{"index":5000,"finish_reason":"stop"}]})").ended == std::uint64_t{1} << 63);
    CHECK(facts_of(R"({"choices":[]})").choices == 0);
}

TEST_CASE("an empty list of choices is told from one that is not there")
{
    CHECK(facts_of(R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}})").choices_empty);
    CHECK_FALSE(facts_of(R"({"usage":{"prompt_tokens":1}})").choices_empty);
    CHECK_FALSE(facts_of(R"({"choices":[{}]})").choices_empty);
}

TEST_CASE("a chunk's delta and a completion's message are not taken for one another")
{
    const std::string both = R"({"choices":[{"message":{"content":"all of it"},"delta":{}}]})";
    CHECK_FALSE(facts_of(both, false).content);
    CHECK(facts_of(both, true).content);
}

TEST_CASE("usage is read in all its spellings")
{
    const auto u =
        facts_of(
            R"({"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1},
        "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":2,"accepted_prediction_tokens":0}}})")
            .usage;
    CHECK((u.input == 10 && u.output == 20 && u.cache_read == 4 && u.audio_input == 1 && u.reasoning == 5 &&
           u.audio_output == 2));
    const auto d =
        facts_of(
            R"({"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":0,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":2}})")
            .usage;
    CHECK((d.cache_read == 8 && d.output == 0));
    CHECK(facts_of(R"({"choices":[{"usage":{"prompt_tokens":7,"completion_tokens":1}}]})").usage.input == 7);
    CHECK(facts_of(R"({"choices":[],"x_groq":{"usage":{"prompt_tokens":7,"completion_tokens":1}}})").usage.output == 1);
    CHECK(facts_of(R"({"usage":{"input_tokens":3,"output_tokens":4,"input_tokens_details":{"cached_tokens":2}}})")
              .usage.cache_read == 2);
    const auto odd =
        facts_of(
            R"({"usage":{"prompt_tokens":12.0,"completion_tokens":null,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":-3}}})")
            .usage;
    CHECK((odd.input == 12 && odd.output == -1 && odd.reasoning == -1));
    CHECK_FALSE(facts_of(R"({"usage":"none"})").usage.said());
}

TEST_CASE("what is no JSON object is not valid and says nothing")
{
    for (const std::string_view bytes :
         {"", " ", "[DONE]", "[]", "null", "\"x\"", "{", R"({"choices":[{"delta":{"content":"x"}}])",
          R"({"choices":[{"delta":{"content":"x"}}]}})", R"({'a':1})",
          "{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}", "<html>"}) {
        const auto f = facts_of(bytes);
        CHECK_FALSE(f.valid);
        CHECK_FALSE(f.content);
    }
    CHECK_FALSE(facts_of("{\"a\":" + std::string(100'000, '[')).valid);
    CHECK(facts_of(R"({"a":1,"a":2})").valid); // providers may repeat themselves
}

TEST_CASE("an error in a chunk is one, an empty one is none")
{
    const auto f = facts_of(R"({"error":{"message":"The server is overloaded","type":"overloaded_error","code":null}})");
    CHECK((f.valid && f.error));
    CHECK(f.fault.kind == core::FaultKind::Overloaded);
    CHECK(f.fault.message == "The server is overloaded");
    CHECK(
        facts_of(
            R"({"id":"x","choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"Upstream gone"}})")
            .fault.message == "Upstream gone");
    CHECK(facts_of(R"({"choices":[{"delta":{},"finish_reason":"error"}]})").error);
    CHECK(facts_of(R"({"choices":[{"delta":{},"error":{"message":"x"}}]})").error);
    CHECK(facts_of(R"({"object":"error","message":"m","code":40303})").error);
    CHECK(facts_of(R"({"type":"error","error":{"type":"rate_limit_error","message":"slow down"}})").fault.kind ==
          core::FaultKind::RateLimited);
    CHECK(facts_of(R"({"error":"text"})").fault.message == "text");
    for (const char* none : {R"({"error":null,"choices":[]})", R"({"error":"","choices":[]})",
                             R"({"error":{},"choices":[]})", R"({"error":false})"})
        CHECK_FALSE(facts_of(none).error);
}

TEST_CASE("cut and changed chunks never throw and never read beyond their end")
{
    const std::string chunk =
        R"({"id":"c","choices":[{"index":0,"delta":{"content":"h\u00e9\n"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1},"error":{"message":"try again in 2s","code":429}})";
    std::mt19937 random(7);
    for (std::size_t n = 0; n < chunk.size(); ++n) {
        const std::vector<char> exact(chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
        CHECK_FALSE(facts_of({exact.data(), exact.size()}).valid);
    }
    for (int round = 0; round < 20000; ++round) {
        std::vector<char> bytes(chunk.begin(), chunk.end());
        for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
        const std::string_view view(bytes.data(), bytes.size());
        REQUIRE(facts_of(view).valid == ordered_json::accept(view));
    }
}

namespace {

bool some(const ordered_json& j) { return (j.is_string() || j.is_array() || j.is_object()) && !j.empty() && j != ""; }

/// The same facts, worked out with a tree.
void agree(const std::string& json, bool whole)
{
    const auto f = facts_of(json, whole);
    const auto j = ordered_json::parse(json, nullptr, false);
    INFO(json.substr(0, 2000));
    REQUIRE(f.valid == j.is_object());
    if (!f.valid) return;
    bool content = false, finished = false;
    if (j.contains("choices") && j["choices"].is_array())
        for (const auto& choice : j["choices"]) {
            if (!choice.is_object()) continue;
            if (choice.contains("finish_reason") && !choice["finish_reason"].is_null() && choice["finish_reason"] != "")
                content = finished = true;
            if (choice.contains("text") && some(choice["text"])) content = true;
            const auto part = choice.value(whole ? "message" : "delta", ordered_json());
            if (part.is_object())
                for (const char* name : {"content", "tool_calls", "reasoning_content", "reasoning", "reasoning_details",
                                         "refusal", "function_call", "audio", "images"})
                    if (part.contains(name) && some(part[name])) content = true;
        }
    CHECK(f.content == content);
    CHECK(f.finished == finished);
    CHECK(f.choices_empty == (j.contains("choices") && j["choices"].is_array() && j["choices"].empty()));
    if (j.contains("id") && j["id"].is_string()) CHECK(f.id == j["id"]);
    if (j.contains("model") && j["model"].is_string()) CHECK(f.model == j["model"]);
    if (j.contains("usage") && j["usage"].is_object()) {
        const auto& u = j["usage"];
        const auto number = [](const ordered_json& in, const char* name) {
            return in.contains(name) && in[name].is_number_integer() ? in[name].get<std::int64_t>() : -1;
        };
        const auto inner = [&](const char* details, const char* name) {
            return u.contains(details) && u[details].is_object() ? number(u[details], name) : -1;
        };
        CHECK(f.usage.input == number(u, "prompt_tokens"));
        CHECK(f.usage.output == number(u, "completion_tokens"));
        if (const auto cached = inner("prompt_tokens_details", "cached_tokens"); cached >= 0)
            CHECK(f.usage.cache_read == cached);
        if (const auto reasoned = inner("completion_tokens_details", "reasoning_tokens"); reasoned >= 0)
            CHECK(f.usage.reasoning == reasoned);
    }
}

} // namespace

TEST_CASE("facts of all recorded chat streams agree with a tree")
{
    int streams = 0, chunks = 0;
    const bool there = recordings::each("chat", [&](const std::string& file, const ordered_json& recording) {
        if (!recording["response"].contains("body_text") || !recording.value("stream", false)) return;
        INFO(file);
        ++streams;
        bool finished = false, content = false;
        for (const auto& event : recordings::events(recording["response"]["body_text"].get<std::string>())) {
            agree(event, false);
            const auto f = facts_of(event);
            finished = finished || f.finished;
            content = content || f.content;
            ++chunks;
        }
        CHECK(content);
    });
    if (there) CHECK((streams > 150 && chunks > 5000));
}

TEST_CASE("facts of all recorded chat completions agree with a tree")
{
    int seen = 0;
    const bool there = recordings::each("chat", [&](const std::string& file, const ordered_json& recording) {
        const auto& response = recording["response"];
        if (!response.contains("body") || response["status"] != 200) return;
        INFO(file);
        agree(response["body"].dump(), true);
        ++seen;
    });
    if (there) CHECK(seen > 250);
}
