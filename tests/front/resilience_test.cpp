// What clients see while attempts fail, pause and are replaced.
#include "front/house.h"

#include <catch2/catch.hpp>

using namespace front_test;
using core::FaultKind;

namespace {

constexpr auto to_b = R"(,"models":["m-b"],"route":"fallback")";

std::size_t count(const std::string& all, std::string_view part)
{
    std::size_t n = 0;
    for (auto at = all.find(part); at != all.npos; at = all.find(part, at + part.size())) ++n;
    return n;
}

} // namespace

TEST_CASE("a silent stream sends comments, which say nothing yet of who answers")
{
    House h;
    h.config().server.heartbeat_after_ms = 200;
    h.provider("a", {silent(900'000), say("at last"), silent(700'000), stop()});
    h.open();
    const auto got = h.post(chat("m-a", true));
    CHECK(has(got, "HTTP/1.1 200 OK"));
    const auto before = got.substr(0, got.find("at last")), after = got.substr(got.find("at last"));
    CHECK(count(before, ": ping\n\n") >= 2);
    CHECK(count(after, ": ping\n\n") >= 1);
    CHECK_FALSE(has(got, "x-portolan-provider"));
    CHECK_FALSE(has(got, "x-portolan-attempts"));
    CHECK(has(got, "x-portolan-request-id"));
    CHECK(has(got, "data: [DONE]\n\n"));
    CHECK(got.ends_with("0\r\n\r\n"));
    CHECK_FALSE(has(h.post(chat("m-a", false)), "ping"));
}

TEST_CASE("after a comment another candidate may still answer, and nobody sees the failure")
{
    House h;
    h.config().server.heartbeat_after_ms = 150;
    h.provider("a", {silent(500'000), fail(FaultKind::Overloaded, "busy")});
    h.provider("b", {say("from b"), stop()});
    h.open();
    const auto got = h.post(chat("m-a", true, to_b));
    CHECK(has(got, ": ping\n\n"));
    CHECK(has(got, "from b"));
    CHECK_FALSE(has(got, "error"));
    CHECK(has(got, "data: [DONE]\n\n"));
}

TEST_CASE("after a comment the status is out, so a failure is told in the stream")
{
    House h;
    h.config().server.heartbeat_after_ms = 150;
    h.provider("a", {silent(500'000), fail(FaultKind::Overloaded, "busy")});
    h.open();
    const auto got = h.post(chat("m-a", true));
    CHECK(has(got, "HTTP/1.1 200 OK"));
    CHECK(has(got, R"(data: {"error":{)"));
    CHECK_FALSE(has(got, "[DONE]"));
}

TEST_CASE("a role, usage and metadata bind nobody to an answer")
{
    House h;
    h.provider("a", {chunk(R"({"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]})"),
                     chunk(R"({"id":"x","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":0}})"),
                     fail(FaultKind::Overloaded, "busy")});
    h.provider("b", {say("from b"), stop()});
    h.open();
    const auto got = h.post(chat("m-a", true, to_b));
    CHECK(has(got, "from b"));
    CHECK(count(got, R"("role":"assistant")") == 1);
    CHECK(has(got, "x-portolan-fallback-level: 1\r\n"));
}

TEST_CASE("a rate limit is remembered: until it is over nobody is asked, and the client hears when to come back")
{
    House h;
    auto a = h.provider("a", {fail(FaultKind::RateLimited, "slow down", 30'000'000)});
    h.open();
    auto got = h.post(chat("m-a", false));
    CHECK(has(got, "HTTP/1.1 429"));
    CHECK(has(got, "retry-after: 30\r\n"));
    CHECK(has(got, "x-portolan-attempts: 1\r\n"));
    got = h.post(chat("m-a", false));
    CHECK(has(got, "HTTP/1.1 429"));
    CHECK(has(got, "retry-after: 30\r\n"));
    CHECK(has(got, "rate_limit_exceeded"));
    CHECK(has(got, "x-portolan-attempts: 0\r\n"));
    CHECK(a->calls == 1);
}

TEST_CASE("when everybody rests for different reasons the answer is 503 with the earliest time")
{
    House h;
    auto a = h.provider("a", {fail(FaultKind::RateLimited, "slow down", 30'000'000)});
    auto b = h.provider("b", {fail(FaultKind::UpstreamAuth, "bad key")});
    h.open();
    CHECK(has(h.post(chat("m-a", false, to_b)), "fallback_exhausted"));
    const auto got = h.post(chat("m-a", false, to_b));
    CHECK(has(got, "HTTP/1.1 503"));
    CHECK(has(got, "no_available_provider"));
    CHECK(has(got, "retry-after: 30\r\n"));
    CHECK((a->calls == 1 && b->calls == 1));
}

TEST_CASE("accounts are rotated when a key is refused, and the next request begins with the good one")
{
    House h;
    auto a = h.provider("a", {say("hello"), stop()}, 2);
    a->by_call = {{fail(FaultKind::UpstreamAuth, "bad key")}};
    h.open();
    CHECK(has(h.post(chat("m-a", false)), "HTTP/1.1 200"));
    CHECK(has(h.post(chat("m-a", false)), "HTTP/1.1 200"));
    const auto rows = h.recent.last(2);
    REQUIRE(rows.size() == 2);
    REQUIRE(rows[1]->attempts.size() == 2);
    CHECK((rows[1]->attempts[0].account == "key-0" && rows[1]->attempts[1].account == "key-1"));
    REQUIRE(rows[0]->attempts.size() == 1);
    CHECK(rows[0]->attempts[0].account == "key-1");
}

TEST_CASE("a target that fails again and again is left alone while another answers")
{
    House h;
    auto a = h.provider("a", {fail(FaultKind::Overloaded, "busy")});
    auto b = h.provider("b", {say("from b"), stop()});
    h.open();
    for (int i = 0; i < 8; ++i) CHECK(has(h.post(chat("m-a", false, to_b)), "from b"));
    CHECK(a->calls == 5);
    CHECK(b->calls == 8);
}

TEST_CASE("the last target is never taken away by its breaker")
{
    House h;
    auto a = h.provider("a", {fail(FaultKind::Overloaded, "busy")});
    h.config().routing.same_target_retries = 0;
    h.open();
    for (int i = 0; i < 8; ++i) CHECK(has(h.post(chat("m-a", false)), "upstream_overloaded"));
    CHECK(a->calls == 8);
}

TEST_CASE("a pinned model is tried again at the same place, and is well afterwards")
{
    House h;
    auto a = h.provider("a", {say("third time lucky"), stop()});
    a->by_call = {{fail(FaultKind::Overloaded, "busy")}, {fail(FaultKind::Transient, "conflict")}};
    h.open();
    const auto got = h.post(chat("m-a", false));
    CHECK(a->calls == 2); // one retry each by the table, and it had its one
    CHECK(has(got, "HTTP/1.1 503"));
    CHECK(has(h.post(chat("m-a", false)), "third time lucky"));
}

TEST_CASE("at most so many attempts are made, all candidates together")
{
    House h;
    std::vector<std::shared_ptr<Scripted>> all;
    for (const std::string name : {"a", "b", "c", "d"}) all.push_back(h.provider(name, {fail(FaultKind::BadReply, "nonsense")}));
    h.open();
    const auto got = h.post(chat("m-a", false, R"(,"models":["m-b","m-c","m-d"],"route":"fallback")"));
    CHECK(has(got, "fallback_exhausted"));
    CHECK(has(got, "x-portolan-attempts: 3\r\n"));
    CHECK(all[3]->calls == 0);
}

TEST_CASE("a pause before another try is no overhead of the host")
{
    House h;
    auto a = h.provider("a", {say("hello"), stop()});
    a->by_call = {{fail(FaultKind::RateLimited, "slow down", 400'000)}};
    h.open();
    CHECK(has(h.post(chat("m-a", false)), "hello"));
    const auto row = h.recent.last(1).front();
    CHECK(row->attempts.size() == 2);
    CHECK(row->total_us >= 400'000);
    CHECK(row->overhead_us < 200'000);
}

TEST_CASE("beside a stream that is silent for too long a second one is asked, and the first with content answers")
{
    House h;
    h.config().routing.hedging = true, h.config().routing.hedging_after_ms = 100;
    h.config().server.heartbeat_after_ms = 50;
    h.provider("a", {silent(900'000), say("from a"), stop()});
    auto b = h.provider("b", {silent(150'000), say("from b"), say(" and more"), stop()});
    h.open();
    const auto got = h.post(chat("m-a", true, to_b));
    INFO(got);
    CHECK(count(got, "HTTP/1.1 200 OK") == 1); // the first one had begun to send comments
    CHECK(has(got, ": ping\n\n"));
    CHECK(has(got, "from b"));
    CHECK(has(got, " and more"));
    CHECK_FALSE(has(got, "from a"));
    CHECK(has(got, "data: [DONE]\n\n"));
    CHECK(count(got, R"("role":"assistant")") == 1);
    const auto row = h.recent.last(1).front();
    REQUIRE(row->attempts.size() == 2);
    CHECK(row->provider == "b");
    CHECK((row->attempts[0].target == "a/m-a" && row->attempts[0].fault == "cancelled" && !row->attempts[0].hedge));
    CHECK(row->attempts[0].tokens_in > 0); // what it was asked is paid for
    CHECK((row->attempts[1].target == "b/m-b" && row->attempts[1].fault.empty() && row->attempts[1].hedge));
    CHECK(row->total_us < 800'000);
    CHECK(h.runtime().table.targets[0]->health->failures == 0);
    CHECK(b->calls == 1);
}

TEST_CASE("if the first one answers before the second, the second is ended; what was answered is the first's")
{
    House h;
    h.config().routing.hedging = true, h.config().routing.hedging_after_ms = 100;
    h.provider("a", {silent(300'000), say("from a"), silent(200'000), stop()});
    h.provider("b", {silent(2'000'000), say("from b"), stop()});
    h.open();
    const auto got = h.post(chat("m-a", true, to_b));
    CHECK(has(got, "from a"));
    CHECK_FALSE(has(got, "from b"));
    CHECK(has(got, "[DONE]"));
    CHECK(has(got, "x-portolan-fallback-level: 0\r\n"));
    const auto row = h.recent.last(1).front();
    REQUIRE(row->attempts.size() == 2);
    CHECK((row->attempts[0].target == "a/m-a" && row->attempts[0].fault.empty()));
    CHECK((row->attempts[1].target == "b/m-b" && row->attempts[1].fault == "cancelled" && row->attempts[1].hedge));
    CHECK(row->provider == "a");
    CHECK(row->total_us < 1'500'000);
}

TEST_CASE("two attempts beside each other may both fail, and then it goes on as after any failure")
{
    House h;
    h.config().routing.hedging = true, h.config().routing.hedging_after_ms = 50;
    h.provider("a", {silent(300'000), fail(FaultKind::Overloaded, "a is busy")});
    h.provider("b", {silent(100'000), fail(FaultKind::Overloaded, "b is busy")});
    auto c = h.provider("c", {say("from c"), stop()});
    h.open();
    const auto got = h.post(chat("m-a", true, R"(,"models":["m-b","m-c"],"route":"fallback")"));
    CHECK(has(got, "from c"));
    CHECK(has(got, "[DONE]"));
    CHECK(c->calls == 1);
    CHECK(h.recent.last(1).front()->attempts.size() == 3);
}

TEST_CASE("nobody is asked beside another who is quick, or for what must not be done twice, or more often than allowed")
{
    House h;
    auto& routing = h.config().routing;
    routing.hedging = true, routing.hedging_after_ms = 100;
    h.provider("quick", {say("at once"), silent(300'000), stop()});
    h.provider("a", {silent(400'000), say("from a"), stop()});
    auto b = h.provider("b", {say("from b"), stop()});
    h.open();
    CHECK(has(h.post(chat("m-quick", true, to_b)), "at once"));
    CHECK(has(h.post(chat("m-a", false, to_b)), "from a")); // not streamed
    CHECK(has(h.post(chat("m-a", true, std::string(to_b) + R"(,"store":true)")), "from a"));
    CHECK(b->calls == 0);
    CHECK(has(h.post(chat("m-a", true, to_b)), "from b"));
    CHECK(has(h.post(chat("m-a", true, to_b)), "from a")); // one to begin with, then one in fifty
    CHECK(b->calls == 1);
}
