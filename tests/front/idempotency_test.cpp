// Requests that come again, and failures that are rehearsed.
#include "front/house.h"

#include <catch2/catch.hpp>

#include <thread>

using namespace front_test;
using core::FaultKind;

namespace {
constexpr auto key = "idempotency-key: k-1\r\n";
std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n")); }
} // namespace

TEST_CASE("a request that comes again with its key gets the same answer, and nobody is asked again")
{
    House h;
    auto a = h.provider("a", {say("once"), stop()});
    h.open();
    const auto first = h.post(chat("m-a", false), key), again = h.post(chat("m-a", false), key);
    CHECK(has(first, "HTTP/1.1 200"));
    CHECK_FALSE(has(first, "idempotent-replayed"));
    CHECK(has(again, "idempotent-replayed: true\r\n"));
    CHECK(has(again, "x-portolan-provider: a\r\n"));
    CHECK(body_of(again) == body_of(first));
    CHECK(a->calls == 1);
    CHECK(has(h.post(chat("m-a", false), "idempotency-key: k-2\r\n"), "HTTP/1.1 200"));
    CHECK(has(h.post(chat("m-a", true), key), "[DONE]")); // streams have no part in it
    CHECK(a->calls == 3);
}

TEST_CASE("the key of a request that is under way is refused, and so is one with another body")
{
    House h;
    auto a = h.provider("a", {silent(600'000), say("slow"), stop()});
    h.open();
    std::string first;
    std::thread slow([&] { first = h.post(chat("m-a", false), key); });
    while (a->calls == 0) std::this_thread::yield();
    const auto meanwhile = h.post(chat("m-a", false), key);
    CHECK(has(meanwhile, "HTTP/1.1 409"));
    CHECK(has(meanwhile, "idempotency_key_in_use"));
    slow.join();
    CHECK(has(first, "HTTP/1.1 200"));
    const auto other = h.post(chat("m-a", false, R"(,"temperature":0)"), key);
    CHECK(has(other, "HTTP/1.1 422"));
    CHECK(has(other, "idempotency_key_reused"));
    CHECK(a->calls == 1);
    CHECK(has(h.post(chat("m-a", false), "idempotency-key: " + std::string(256, 'k') + "\r\n"), "HTTP/1.1 400"));
}

TEST_CASE("a failure is not kept")
{
    House h;
    auto a = h.provider("a", {say("now"), stop()});
    a->by_call = {{fail(FaultKind::BadReply, "nonsense")}};
    h.config().routing.same_target_retries = 0;
    h.open();
    CHECK(has(h.post(chat("m-a", false), key), "HTTP/1.1 502"));
    CHECK(has(h.post(chat("m-a", false), key), "HTTP/1.1 200"));
}

TEST_CASE("with a time of nothing keys are ignored")
{
    House h;
    auto a = h.provider("a", {say("x"), stop()});
    h.config().idempotency.ttl_seconds = 0;
    h.open();
    h.post(chat("m-a", false), key), h.post(chat("m-a", false), key);
    CHECK(a->calls == 2);
}

TEST_CASE("what is kept is bounded and ends with its time")
{
    front::Idempotency store;
    const front::BodyDigest body{};
    std::shared_ptr<const front::KeptAnswer> answer;
    const auto put = [&](const std::string& id, std::int64_t until) {
        REQUIRE(store.look(id, body, 0, answer) == front::Idempotency::Found::New);
        front::Idempotency::Claim claim(store, id);
        auto kept = std::make_shared<front::KeptAnswer>();
        kept->body = std::string(99, 'x');
        claim.keep(kept, until, 250);
    };
    put("a", 10), put("b", 10);
    CHECK(store.bytes() == 200);
    put("c", 10);
    CHECK(store.bytes() == 200);
    CHECK(store.look("b", body, 9, answer) == front::Idempotency::Found::Kept);
    CHECK(store.look("c", body, 10, answer) == front::Idempotency::Found::New);
    CHECK(store.bytes() == 100);
    CHECK(store.look("a", body, 0, answer) == front::Idempotency::Found::New); // had to go
}

TEST_CASE("an admin rehearses a fallback: the first candidate fails without being asked, and its health is not touched")
{
    House h;
    auto a = h.provider("a", {say("from a"), stop()});
    h.provider("b", {say("from b"), stop()});
    h.open();
    for (int i = 0; i < 7; ++i) {
        const auto got = h.post(chat("m-a", false, R"(,"models":["m-b"],"route":"fallback","mock_testing_fallbacks":true)"));
        CHECK(has(got, "from b"));
        CHECK(has(got, "x-portolan-fallback-level: 1\r\n"));
    }
    CHECK(a->calls == 0);
    CHECK(h.runtime().table.targets[0]->health->failures == 0);
    CHECK(has(h.post(chat("m-a", false, R"(,"models":["m-b"],"route":"fallback")")), "from a"));
    CHECK_FALSE(has(a->last_json, "mock"));
}

TEST_CASE("a share of failures is rehearsed")
{
    House h;
    auto a = h.provider("a", {say("from a"), stop()});
    h.config().routing.same_target_retries = 0;
    h.open();
    CHECK(has(h.post(chat("m-a", false, R"(,"mock_failure_rate":1)")), "This failure was rehearsed"));
    int failed = 0;
    for (int i = 0; i < 60; ++i) failed += !has(h.post(chat("m-a", false, R"(,"mock_failure_rate":0.5)")), "HTTP/1.1 200");
    CHECK((failed > 10 && failed < 50));
    CHECK(a->calls == 60 - failed);
}

TEST_CASE("only admins rehearse failures")
{
    House h;
    auto a = h.provider("a", {say("x"), stop()});
    h.config().auth.mode = config::AuthMode::Required;
    h.runtime().keys.push_back({front::digest_of("user"), "one", true, false, false});
    h.open();
    for (const auto* more : {R"(,"mock_testing_fallbacks":true)", R"(,"mock_failure_rate":0.5)"})
        CHECK(has(h.post(chat("m-a", false, more), "x-api-key: user\r\n"), "HTTP/1.1 403"));
    CHECK(a->calls == 0);
}
