// Faults out of providers' error bodies, and what a client gets to read of them.
#include "dialect/openai_chunk.h"
#include "recordings.h"

#include "core/text.h"

#include <catch2/catch.hpp>

#include <random>

using core::Fault;
using core::FaultKind;

namespace {

Fault fault(int status, std::string_view body) { return dialect::fault_of_error_body(status, body); }
FaultKind kind(int status, std::string_view body) { return fault(status, body).kind; }
std::string envelope(const std::string& message, const std::string& rest = "")
{
    return R"({"error":{"message":")" + message + "\"" + rest + "}}";
}

} // namespace

TEST_CASE("the message is found in every envelope")
{
    for (const char* body :
         {R"({"error":{"message":"it broke","type":"t","param":null,"code":"c"}})", R"({"error":"it broke"})",
          R"({"message":"it broke"})", R"({"detail":"it broke"})", R"({"errors":["it broke","later"]})",
          R"({"errors":[{"message":"it broke"}]})",
          R"([{"error":{"code":400,"message":"it broke","status":"INVALID_ARGUMENT"}}])",
          R"({"type":"error","error":{"type":"invalid_request_error","message":"it broke"},"request_id":"r"})",
          R"({"object":"error","message":"it broke","code":40001})",
          R"({"code":"invalid-argument","error":"it broke"})", R"({"id":"7","message":"it broke"})",
          R"({"detail":[{"loc":["body"],"msg":"it broke","type":"value_error"}]})",
          R"({"error":{"code":"400","message":"it broke"}})",
          R"({"error":{"code":400,"message":"it broke","metadata":{"raw":"other"}}})", "it broke", "  it broke\n"}) {
        INFO(body);
        const auto f = fault(400, body);
        CHECK(f.message == "it broke");
        CHECK(f.kind == FaultKind::Refused);
        CHECK(f.upstream_status == 400);
    }
}

TEST_CASE("a status decides where the body says no more")
{
    CHECK(kind(400, "{}") == FaultKind::Refused);
    CHECK(kind(401, "{}") == FaultKind::UpstreamAuth);
    CHECK(kind(402, "{}") == FaultKind::Quota);
    CHECK(kind(403, "{}") == FaultKind::UpstreamAuth);
    CHECK(kind(408, "{}") == FaultKind::Transient);
    CHECK(kind(409, "{}") == FaultKind::Transient);
    CHECK(kind(425, "{}") == FaultKind::Transient);
    CHECK(kind(413, "{}") == FaultKind::Refused);
    CHECK(kind(422, "{}") == FaultKind::Refused);
    CHECK(kind(429, "{}") == FaultKind::RateLimited);
    for (const int status : {500, 502, 503, 504, 529}) CHECK(kind(status, "{}") == FaultKind::Overloaded);
    CHECK(kind(404, R"({"detail":"Not Found"})") == FaultKind::BadReply);
    CHECK(kind(302, "") == FaultKind::BadReply);
}

TEST_CASE("a refusal keeps the provider's status, code, param and words")
{
    const auto f =
        fault(422, envelope("Invalid 'messages[3]'.",
                            R"(,"type":"invalid_request_error","param":"messages[3]","code":"invalid_value")"));
    CHECK(f.kind == FaultKind::Refused);
    CHECK(f.client_status() == 422);
    CHECK(f.param == "messages[3]");
    CHECK(f.code == "invalid_value");
    CHECK(fault(413, "{}").client_status() == 413);
    CHECK(fault(418, "{}").client_status() == 400);
    const auto previous =
        fault(404, envelope("Previous response with id 'x' not found.",
                            R"(,"param":"previous_response_id","code":"previous_response_not_found")"));
    CHECK(previous.kind == FaultKind::Refused);
    CHECK(previous.client_status() == 404);
}

TEST_CASE("what the client may try again itself keeps its status; a failure is told from being busy")
{
    for (const int status : {408, 409, 425}) CHECK(fault(status, "{}").client_status() == status);
    CHECK(fault(402, "{}").client_status() == 402);
    CHECK(fault(400, envelope("x", R"(,"code":"tool_use_failed")")).client_status() == 503);
    for (const int status : {503, 529}) CHECK(fault(status, "{}").client_status() == 503);
    for (const int status : {500, 502, 504}) {
        CHECK(fault(status, "{}").client_status() == 502);
        CHECK(fault(status, "{}").client_code() == "upstream_error");
    }
}

TEST_CASE("an account without money is told from one that is too fast")
{
    CHECK(kind(429, envelope("You exceeded your current quota, please check your plan and billing details.",
                             R"(,"type":"insufficient_quota","code":"insufficient_quota")")) == FaultKind::Quota);
    CHECK(kind(400, envelope("Your credit balance is too low to access the Anthropic API.")) == FaultKind::Quota);
    CHECK(kind(402, R"({"error":{"message":"Insufficient Balance"}})") == FaultKind::Quota);
    CHECK(kind(429, R"({"type":"error","error":{"type":"enforced_spend_limit_reached","message":"x"}})") ==
          FaultKind::Quota);
    const auto gemini = fault(
        429,
        R"({"error":{"code":429,"message":"You exceeded your current quota, please check your plan.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"t","retryDelay":"34.4s"}]}})");
    CHECK(gemini.kind == FaultKind::RateLimited);
    CHECK(gemini.retry_after_us == 34'400'000);
}

TEST_CASE("a context that does not fit is known by all its spellings, whatever the status")
{
    const std::pair<int, std::string> bodies[] = {
        {400, envelope("This model's maximum context length is 8192 tokens.", R"(,"code":"context_length_exceeded")")},
        {400, envelope("prompt is too long: 210000 tokens > 200000 maximum")},
        {400, envelope("input length and `max_tokens` exceed context limit: 198000 + 10000 > 200000")},
        {400, envelope("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                       R"(,"status":"INVALID_ARGUMENT")")},
        {429, envelope("The input token count exceeds the maximum", R"(,"status":"RESOURCE_EXHAUSTED")")},
        {400,
         R"({"message":"The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum length."})"},
        {400, R"({"message":"Input is too long for requested model."})"},
        {400,
         envelope("The total length of all messages is too long.", R"(,"type":"too_many_prompt_tokens","code":400)")},
        {400, R"({"message":"too many tokens: size limit exceeded by 1200 tokens."})"},
        {400, envelope("the request exceeds the available context size, try increasing it",
                       R"(,"type":"exceed_context_size_error")")},
        {413, envelope("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 8000",
                       R"(,"code":"rate_limit_exceeded")")},
        {400, envelope("Your input exceeds the context window of this model.")},
        {422, R"({"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097."})"}};
    for (const auto& [status, body] : bodies) {
        INFO(body);
        CHECK(kind(status, body) == FaultKind::TooLong);
    }
    CHECK(
        kind(400, envelope("max_tokens is too large: 100000. This model supports at most 16384 completion tokens.")) ==
        FaultKind::Refused);
}

TEST_CASE("a model that is not there, content that is not wanted and keys that are not good are known")
{
    CHECK(kind(404, envelope("The model `x` does not exist or you do not have access to it.",
                             R"(,"code":"model_not_found")")) == FaultKind::NoModel);
    CHECK(kind(403, envelope("Project does not have access to model x", R"(,"code":"model_not_found")")) ==
          FaultKind::NoModel);
    CHECK(kind(400, R"({"message":"The provided model identifier is invalid."})") == FaultKind::NoModel);
    CHECK(kind(404, R"({"error":"model 'nonexistent:latest' not found"})") == FaultKind::NoModel);
    CHECK(kind(400, envelope("gpt-x is not a valid model ID", R"(,"code":400)")) == FaultKind::NoModel);
    CHECK(kind(400, envelope("Unsupported parameter: 'temperature' is not supported with this model.")) ==
          FaultKind::Refused);
    CHECK(kind(400, envelope("filtered", R"(,"code":"content_filter")")) == FaultKind::ContentPolicy);
    CHECK(kind(400, envelope("Your request was rejected as a result of our safety system.",
                             R"(,"code":"content_policy_violation")")) == FaultKind::ContentPolicy);
    CHECK(kind(403, envelope("Your input was flagged by our moderation.")) == FaultKind::ContentPolicy);
    CHECK(kind(400, envelope("API key not valid. Please pass a valid API key.", R"(,"status":"INVALID_ARGUMENT")")) ==
          FaultKind::UpstreamAuth);
    CHECK(kind(400, R"({"code":"invalid-argument","error":"Incorrect API key provided."})") == FaultKind::UpstreamAuth);
    CHECK(kind(400, envelope("Tool choice is required, but model did not call a tool",
                             R"(,"code":"tool_use_failed","failed_generation":"maximum context length")")) ==
          FaultKind::Transient);
}

TEST_CASE("nothing of a credential reaches the client")
{
    const auto key = "sk-" + std::string(40, 'a');
    CHECK(fault(401, envelope("Incorrect API key provided: " + key)).message.find("sk-a") == std::string::npos);
    CHECK(fault(400, envelope("bad header Bearer abcdefghijklmnop")).message.find("abcdefgh") == std::string::npos);
    CHECK(fault(400, envelope("key " + key + " is odd")).message == "key sk-*** is odd");
    CHECK(fault(400, envelope("gsk_" + std::string(40, 'b'))).message.find("bbbb") == std::string::npos);
    CHECK(fault(400, envelope("AIza" + std::string(35, 'c'))).message.find("cccc") == std::string::npos);
    CHECK(fault(400, envelope("x", R"(,"param":")" + key + "\"")).param.find("aaaa") == std::string::npos);
}

TEST_CASE("what is shown is valid UTF-8, one line, and not long")
{
    const auto f = fault(400, envelope(std::string(3000, 'x') + "\xc3\xa9"));
    CHECK(f.message.size() <= 2048);
    const auto wide = [] {
        std::string s;
        for (int i = 0; i < 2000; ++i) s += "\xe2\x82\xac";
        return s;
    }();
    CHECK(core::is_utf8(fault(400, envelope(wide)).message));
    CHECK(core::is_utf8(fault(500, "broken \xff\xfe text").message));
    CHECK(fault(500, "broken \xff text").message == "broken \xef\xbf\xbd text");
    CHECK(fault(500, "two\nlines\x01").message == "two lines ");
}

TEST_CASE("a page says its title, nothing says its status")
{
    const auto f = fault(
        502, "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>secret internals</body></html>");
    CHECK(f.kind == FaultKind::Overloaded);
    CHECK(f.message == "502 Bad Gateway");
    CHECK(fault(503, "<html><h1>Busy</h1></html>").message == "Busy");
    CHECK(fault(503, "").message == "The provider answered with status 503.");
    CHECK(fault(503, "<html></html>").message == "The provider answered with status 503.");
    CHECK(fault(500, "{\"broken").message == "The provider answered with status 500.");
}

TEST_CASE("how long to wait is read from the words")
{
    CHECK(fault(429, envelope("Rate limit reached. Please try again in 20s.")).retry_after_us == 20'000'000);
    CHECK(fault(429, envelope("Please try again in 1m30.5s.")).retry_after_us == 90'500'000);
    CHECK(fault(429, envelope("try again in 450ms")).retry_after_us == 450'000);
    CHECK(fault(429, envelope("Please retry after 6 seconds.")).retry_after_us == 6'000'000);
    CHECK(fault(429, envelope("Please retry in 34.07s.")).retry_after_us == 34'070'000);
    CHECK(fault(429, envelope("try again in 3h")).retry_after_us == 300'000'000);
    CHECK(fault(429, envelope("x", R"(,"retry_after":7)")).retry_after_us == 7'000'000);
    CHECK(fault(429, "try again in 2s").retry_after_us == 2'000'000);
    CHECK(fault(429, envelope("slow down")).retry_after_us == -1);
    CHECK(fault(429, envelope("try again in a while")).retry_after_us == -1);
    CHECK(fault(400, envelope("try again in 2s")).retry_after_us == -1);
}

TEST_CASE("an error inside of a 200 gets the status that it speaks of")
{
    CHECK(kind(200, envelope("x", R"(,"type":"overloaded_error")")) == FaultKind::Overloaded);
    CHECK(fault(200, envelope("x", R"(,"type":"overloaded_error")")).upstream_status == 529);
    CHECK(kind(200, envelope("x", R"(,"code":429)")) == FaultKind::RateLimited);
    CHECK(kind(200, envelope("x", R"(,"type":"rate_limit_error")")) == FaultKind::RateLimited);
    CHECK(kind(200, envelope("x", R"(,"type":"authentication_error")")) == FaultKind::UpstreamAuth);
    CHECK(kind(200, envelope("x", R"(,"type":"invalid_request_error")")) == FaultKind::Refused);
    CHECK(kind(200, envelope("x", R"(,"type":"api_error")")) == FaultKind::Overloaded);
    CHECK(kind(200, envelope("x", R"(,"status":"UNAVAILABLE")")) == FaultKind::Overloaded);
}

TEST_CASE("any bytes give some fault with a message that can be shown")
{
    std::mt19937 random(11);
    const std::string seed =
        R"([{"error":{"code":429,"message":"try again in 2s","status":"X","details":[{"retryDelay":"3s"}]},"errors":["a"],"detail":[{"msg":"m"}]}])";
    for (int round = 0; round < 20000; ++round) {
        auto body = seed;
        for (int k = 0; k < 4; ++k) body[random() % body.size()] = static_cast<char>(random());
        const auto f =
            fault(static_cast<int>(200 + random() % 400), std::string_view(body).substr(0, random() % body.size()));
        REQUIRE(f.kind != FaultKind::None);
        REQUIRE_FALSE(f.message.empty());
        REQUIRE(core::is_utf8(f.message));
    }
}

TEST_CASE("every recorded error is understood as what its status and words say")
{
    int seen = 0;
    const bool there = recordings::each("", [&](const std::string& file, const nlohmann::ordered_json& recording) {
        const auto& response = recording["response"];
        const int status = response["status"];
        if (status < 400) return;
        const auto body = response.contains("body") ? response["body"].dump() : response.value("body_text", "");
        const auto f = fault(status, body);
        INFO(file << ' ' << body.substr(0, 500) << " -> " << core::rule_of(f.kind).name << ": " << f.message);
        ++seen;
        CHECK(f.message.find("answered with status") == std::string::npos);
        if (status == 401) CHECK(f.kind == FaultKind::UpstreamAuth);
        if (status == 404) CHECK(f.kind == FaultKind::NoModel);
        if (status == 429) CHECK(f.kind == FaultKind::RateLimited);
        if (status == 400) {
            using K = FaultKind;
            CHECK((f.kind == K::Refused || f.kind == K::TooLong || f.kind == K::NoModel || f.kind == K::UpstreamAuth ||
                   f.kind == K::Transient));
            CHECK((f.kind == K::NoModel) ==
                  (body.find("model identifier") != body.npos || body.find("Model nonexistent") != body.npos));
        }
    });
    if (there) CHECK(seen > 60);
}
