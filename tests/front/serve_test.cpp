// From a client's bytes to the answer's, with providers that are told what to say.
#include "front/house.h"

#include <catch2/catch.hpp>

using namespace front_test;
using core::FaultKind;

TEST_CASE("an answer comes whole or streamed, with the headers that say who gave it")
{
    House h;
    h.provider("a", {say("Hello "), say("you"), stop()});
    h.open();
    const auto whole = h.post(chat("m-a", false));
    CHECK(has(whole, "HTTP/1.1 200 OK"));
    CHECK(has(whole, R"("content":"Hello you")"));
    CHECK(has(whole, R"("finish_reason":"stop")"));
    CHECK(has(whole, "x-portolan-provider: a\r\n"));
    CHECK(has(whole, "x-portolan-resolved-model: m-a\r\n"));
    CHECK(has(whole, "x-orca-requested-model: m-a\r\n"));
    const auto streamed = h.post(chat("m-a", true));
    CHECK(has(streamed, "content-type: text/event-stream"));
    CHECK(has(streamed, R"("role":"assistant")"));
    CHECK(has(streamed, "data: [DONE]\n\n"));
    CHECK(streamed.ends_with("0\r\n\r\n"));
}

TEST_CASE("a failure before content goes to the next candidate and nobody sees it")
{
    House h;
    auto a = h.provider("a", {fail(FaultKind::Overloaded, "busy")});
    auto b = h.provider("b", {say("from b"), stop()});
    h.open();
    for (const bool stream : {false, true}) {
        const auto got = h.post(chat("m-a", stream, R"(,"models":["m-b"],"route":"fallback")"));
        CHECK(has(got, "HTTP/1.1 200 OK"));
        CHECK(has(got, "from b"));
        CHECK(has(got, "x-portolan-fallback-level: 1\r\n"));
        CHECK(has(got, "x-portolan-attempts: 2\r\n"));
    }
    CHECK(a->calls == 2);
    CHECK(has(b->last_json, R"("model")"));
    CHECK_FALSE(has(b->last_json, "fallback")); // our extensions do not reach a provider
}

TEST_CASE("a failure after content is said in the stream, which then has no end mark")
{
    House h;
    h.provider("a", {say("half an ans"), fail(FaultKind::Overloaded, "went down")});
    auto b = h.provider("b", {say("other"), stop()});
    h.open();
    const auto got = h.post(chat("m-a", true, R"(,"models":["m-b"],"route":"fallback")"));
    CHECK(has(got, "half an ans"));
    CHECK(has(got, R"(data: {"error":{)"));
    CHECK(has(got, "went down"));
    CHECK_FALSE(has(got, "[DONE]"));
    CHECK(b->calls == 0); // nothing is replayed after content
    const auto whole = h.post(chat("m-a", false, R"(,"models":["m-b"],"route":"fallback")"));
    CHECK(has(whole, "other")); // nothing was sent yet, so another may answer
}

TEST_CASE("a stream that ends without its end is never passed off as complete")
{
    House h;
    h.provider("a", {say("half")});
    h.open();
    const auto streamed = h.post(chat("m-a", true));
    CHECK(has(streamed, "upstream_truncated"));
    CHECK_FALSE(has(streamed, "[DONE]"));
    const auto whole = h.post(chat("m-a", false));
    CHECK(has(whole, "HTTP/1.1 502"));
}

TEST_CASE("when all fail the client sees one clear error with every attempt")
{
    House h;
    h.provider("a", {fail(FaultKind::Overloaded, "one")});
    h.provider("b", {fail(FaultKind::BadReply, "two")});
    h.open();
    const auto got = h.post(chat("m-a", false, R"(,"models":["m-b"],"route":"fallback")"));
    CHECK(has(got, "HTTP/1.1 502"));
    CHECK(has(got, "fallback_exhausted"));
    CHECK(has(got, R"("target":"a/m-a")"));
    CHECK(has(got, R"("target":"b/m-b")"));
    CHECK(has(got, "x-should-retry: false"));
}

TEST_CASE("a client's mistake is not tried elsewhere")
{
    House h;
    h.provider("a", {fail(FaultKind::Refused, "temperature must be below 2")});
    auto b = h.provider("b", {say("x"), stop()});
    h.open();
    const auto got = h.post(chat("m-a", false, R"(,"models":["m-b"],"route":"fallback")"));
    CHECK(has(got, "HTTP/1.1 400"));
    CHECK(has(got, "temperature must be below 2"));
    CHECK(b->calls == 0);
}

TEST_CASE("an upstream's 401 is never the client's")
{
    House h;
    h.provider("a", {fail(FaultKind::UpstreamAuth, "bad key")});
    h.open();
    const auto got = h.post(chat("m-a", false));
    CHECK(has(got, "HTTP/1.1 503"));
    CHECK(has(got, "upstream_auth_error"));
    CHECK(has(got, "retry-after: "));
}

TEST_CASE("bodies that cannot be read are refused before anybody is asked")
{
    House h;
    auto a = h.provider("a", {say("x"), stop()});
    h.open();
    for (const std::string body : {"", "[]", "{", R"({"model":"m-a"})", R"({"model":"m-a","model":"m-b","messages":[{"role":"user","content":"x"}]})",
                                   "{\"model\":\"m-a\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}"}) {
        INFO(body);
        const auto got = h.post(body);
        CHECK(has(got, "HTTP/1.1 400"));
        CHECK(has(got, R"("type":"invalid_request_error")"));
    }
    CHECK(has(h.post(chat("m-a", false), "content-encoding: gzip\r\n"), "HTTP/1.1 415"));
    CHECK(has(h.post(chat("gpt-none", false)), "model_not_found"));
    CHECK(a->calls == 0);
}

TEST_CASE("keys are taken from every place clients put them, and only good ones pass")
{
    House h;
    h.provider("a", {say("x"), stop()});
    h.config().auth.mode = config::AuthMode::Required;
    h.runtime().keys.push_back({front::digest_of("secret-1"), "one", true, false, false});
    h.runtime().keys.push_back({front::digest_of("secret-2"), "two", false, true, false});
    h.open();
    const auto body = chat("m-a", false);
    CHECK(has(h.post(body), "HTTP/1.1 401"));
    CHECK(has(h.post(body), "missing_api_key"));
    for (const std::string header : {"authorization: Bearer ", "x-api-key: ", "api-key: ", "x-goog-api-key: ", "x-router-api-key: "}) {
        INFO(header);
        CHECK(has(h.post(body, header + "secret-1\r\n"), "HTTP/1.1 200"));
        CHECK(has(h.post(body, header + "secret-3\r\n"), "invalid_api_key"));
    }
    CHECK(has(h.post(body, "authorization: Basic c2VjcmV0LTE=\r\n"), "HTTP/1.1 401"));
    CHECK(has(h.post(body, "x-api-key: wrong\r\nauthorization: Bearer secret-1\r\n"), "HTTP/1.1 200")); // all places are tried
    CHECK(has(h.post(body, "authorization: Bearer secret-2\r\n"), "HTTP/1.1 403")); // a key for reading does not chat
    CHECK(has(h.get("/health"), "HTTP/1.1 200"));
    CHECK(has(h.get("/v1/models"), "HTTP/1.1 401"));
}

TEST_CASE("who is not let in is told so in the language of the path, pinned or not")
{
    House h;
    h.provider("a", {say("x"), stop()});
    h.config().auth.mode = config::AuthMode::Required;
    h.open();
    for (const std::string path : {"/v1/messages", "/v1/messages/count_tokens", "/v1/providers/a/messages", "/v1/providers/a/messages/count_tokens"}) {
        INFO(path);
        const auto got = h.post(chat("m-a", false), {}, path);
        CHECK(has(got, "HTTP/1.1 401"));
        CHECK(has(got, R"({"type":"error","error":{"type":"authentication_error")"));
    }
    CHECK(has(h.post(chat("m-a", false), {}, "/v1/providers/a/responses"), R"({"error":{"message":)"));
}

TEST_CASE("optional means that no key is fine and a bad one is not")
{
    House h;
    h.provider("a", {say("x"), stop()});
    h.config().auth.mode = config::AuthMode::Optional;
    h.runtime().keys.push_back({front::digest_of("good"), "one", true, true, true});
    h.open();
    CHECK(has(h.post(chat("m-a", false)), "HTTP/1.1 200"));
    CHECK(has(h.post(chat("m-a", false), "x-api-key: bad\r\n"), "HTTP/1.1 401"));
    CHECK(has(h.post(chat("m-a", false), "x-api-key: good\r\n"), "HTTP/1.1 200"));
}

TEST_CASE("models are listed in the shape that the client's headers ask for")
{
    House h;
    h.provider("a", {stop()});
    h.open();
    CHECK(has(h.get("/v1/models"), R"("object":"list","data":[{"id":"m-a","object":"model")"));
    CHECK(has(h.get("/v1/models", "anthropic-version: 2023-06-01\r\n"), R"("first_id":"m-a")"));
    CHECK(has(h.get("/v1/models/m-a"), R"("owned_by":"a")"));
    CHECK(has(h.get("/v1/models/a%2Fm-a"), "HTTP/1.1 200"));
    CHECK(has(h.get("/v1/models/none"), "model_not_found"));
}

TEST_CASE("paths and methods that do not exist are said to be so, and a provider can be pinned in the path")
{
    House h;
    auto a = h.provider("a", {say("x"), stop()});
    h.open();
    CHECK(has(h.get("/v1/nothing"), "HTTP/1.1 404"));
    const auto wrong = h.get("/v1/chat/completions");
    CHECK(has(wrong, "HTTP/1.1 405"));
    CHECK(has(wrong, "allow: POST"));
    CHECK(has(h.post(chat("m-a", false), {}, "/v1/providers/a/chat/completions"), "HTTP/1.1 200"));
    CHECK(has(h.post(chat("m-a", false), {}, "/v1/providers/b/chat/completions"), "HTTP/1.1 404"));
    for (const std::string path : {"/v1/providers/a/chat/completions/x", "/v1/providers//chat/completions", "/v1/providers/a/b/chat/completions", "/v1/providers/a", "/v1/chat"})
        CHECK(has(h.post(chat("m-a", false), {}, path), "HTTP/1.1 404"));
    CHECK(has(h.get("/v1/providers/a/messages"), "allow: POST"));
    CHECK(has(h.raw("HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"), "HTTP/1.1 200"));
}

TEST_CASE("a request id is taken over if it is one, and every request leaves a record")
{
    House h;
    h.provider("a", {say("x"), stop()});
    h.open();
    CHECK(has(h.post(chat("m-a", false), "x-request-id: my-id.1\r\n"), "x-request-id: my-id.1\r\n"));
    CHECK_FALSE(has(h.post(chat("m-a", false), "x-request-id: not an id\r\n"), "not an id"));
    const auto record = h.recent.find("my-id.1");
    REQUIRE(record);
    CHECK(record->provider == "a");
    CHECK(record->status == 200);
    REQUIRE(record->attempts.size() == 1);
    CHECK(record->attempts[0].target == "a/m-a");
}

TEST_CASE("readiness ends the moment draining begins")
{
    House h;
    h.provider("a", {stop()});
    h.open();
    CHECK(has(h.get("/readyz"), "HTTP/1.1 200"));
    h.services().draining = true;
    CHECK(has(h.get("/readyz"), "HTTP/1.1 503"));
    CHECK(has(h.get("/livez"), "HTTP/1.1 200"));
}
