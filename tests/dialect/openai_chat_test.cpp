// The dialect as a whole: errors as clients read them, and the requests that real clients have sent.
#include "core/features.h"
#include "dialect/dialect.h"
#include "recordings.h"

#include <catch2/catch.hpp>

using core::Fault;
using core::FaultKind;
using nlohmann::ordered_json;

namespace {
const dialect::Dialect& chat() { return dialect::openai_chat(); }
} // namespace

TEST_CASE("an error is OpenAI's envelope with the status of its kind")
{
    const auto error = chat().error({.kind = FaultKind::BadRequest, .message = "bad \"n\"", .param = "n"}, {});
    CHECK(error.status == 400);
    CHECK(error.content_type == "application/json");
    CHECK(
        ordered_json::parse(error.body) ==
        ordered_json::parse(
            R"({"error":{"message":"bad \"n\"","type":"invalid_request_error","param":"n","code":"invalid_request"}})"));
    const auto own = chat().error({.kind = FaultKind::Refused, .message = "m", .status = 422, .code = "c"}, {});
    CHECK(own.status == 422);
    CHECK(ordered_json::parse(own.body)["error"]["code"] == "c");
    CHECK(ordered_json::parse(own.body)["error"]["param"].is_null());
}

TEST_CASE("an error of every kind has a message, a type and a code")
{
    for (int k = 1; k <= static_cast<int>(FaultKind::Internal); ++k) {
        const auto error = chat().error({.kind = static_cast<FaultKind>(k)}, {});
        CHECK(error.status >= 400);
        const auto j = ordered_json::parse(error.body)["error"];
        CHECK_FALSE((j["message"].get<std::string>().empty() || j["type"].get<std::string>().empty() ||
                     j["code"].get<std::string>().empty()));
    }
}

TEST_CASE("attempts are listed in an error if there were some")
{
    const auto error = chat().error({.kind = FaultKind::Exhausted, .message = "all failed"},
                                    {{"groq/llama", "overloaded", 503, 12}, {"openai/x", "unreachable", 0, 5000}});
    CHECK(
        ordered_json::parse(error.body)["error"]["attempts"] ==
        ordered_json::parse(
            R"([{"target":"groq/llama","fault":"overloaded","status":503,"took_ms":12},{"target":"openai/x","fault":"unreachable","status":null,"took_ms":5000}])"));
}

TEST_CASE("an error in a stream is one event, and [DONE] follows only on demand")
{
    const Fault fault{.kind = FaultKind::Truncated, .message = "two\nlines"};
    const auto event = chat().error_event(fault, false);
    REQUIRE(event.starts_with("data: "));
    CHECK(event.find('\n') == event.size() - 2);
    CHECK(ordered_json::parse(event.substr(6))["error"]["code"] == "upstream_truncated");
    CHECK(chat().error_event(fault, true) == event + "data: [DONE]\n\n");
}

TEST_CASE("a stream is called one, and its heartbeat is a comment")
{
    CHECK(chat().stream_content_type().starts_with("text/event-stream"));
    CHECK(chat().heartbeat() == ": ping\n\n");
}

TEST_CASE("every recorded chat request is read, and read right")
{
    int seen = 0;
    const bool there = recordings::each("chat", [&](const std::string& file, const ordered_json& recording) {
        if (recording["request"].is_null() || !recording["request"].contains("body") ||
            !recording["request"]["body"].is_object())
            return;
        const auto& j = recording["request"]["body"];
        const auto body = j.dump();
        auto result = chat().read(body, 64);
        INFO(file << ' ' << (result.ok() ? "" : result.fault().message));
        if (!j.contains("model")) { // some name it in the path only
            CHECK_FALSE(result.ok());
            return;
        }
        REQUIRE(result.ok());
        ++seen;
        const auto& r = *result;
        CHECK(r.model == j["model"]);
        CHECK(r.stream == (j.contains("stream") && j["stream"] == true));
        CHECK(r.messages == j["messages"].size());
        CHECK(r.present.size() == j.size());
        const auto tools = j.contains("tools") && j["tools"].is_array() ? j["tools"].size() : 0;
        if (!j.contains("functions")) CHECK(r.tools == tools);
        if (!j.contains("tool_choice") && !j.contains("functions"))
            CHECK(((r.features & core::Tools) != 0) == (tools > 0));
        const auto dumped = j["messages"].dump();
        if (dumped.find("\"image_url\"") != dumped.npos) CHECK(r.images > 0);
        CHECK(r.est_input_tokens > 0);
        const auto turns = chat().turns(body);
        REQUIRE(turns.size() == j["messages"].size());
        for (std::size_t i = 0; i < turns.size(); ++i)
            if (j["messages"][i].contains("content") && j["messages"][i]["content"].is_string())
                CHECK(turns[i].text == j["messages"][i]["content"]);
    });
    if (there) CHECK(seen > 400);
}
