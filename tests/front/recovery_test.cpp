// Answers that break off after content, on routes that want them taken up again.
#include "front/house.h"

#include <catch2/catch.hpp>

using namespace front_test;
using core::FaultKind;
using routing::Recovery;

namespace {

/// A route "r" over all providers in the order in which they were added.
void route(House& h, Recovery recovery)
{
    auto r = std::make_unique<routing::Route>();
    r->name = "r", r->recovery = recovery;
    for (const auto& t : h.runtime().table.targets) r->pool.push_back(t.get()), r->weights.push_back(1);
    h.runtime().table.routes.push_back(std::move(r));
}
routing::Target& target(House& h, std::size_t i) { return *h.runtime().table.targets[i]; }

/// All content deltas put together.
std::string text_of(const std::string& answer)
{
    std::string out;
    constexpr std::string_view mark = R"("content":")";
    for (auto at = answer.find(mark); at != answer.npos; at = answer.find(mark, at)) {
        at += mark.size();
        out += answer.substr(at, answer.find('"', at) - at);
    }
    return out;
}

Say tool(std::string name)
{
    return Say{[name](dispatch::EventSink& s) { s.event({.kind = EventKind::ToolBegin, .id = "call_1", .name = name}); }};
}
Say args(std::string piece)
{
    return Say{[piece](dispatch::EventSink& s) { s.event({.kind = EventKind::ToolArgs, .data = piece}); }};
}

} // namespace

TEST_CASE("a stream is restarted and goes on when the new answer repeats what was sent, however it is cut")
{
    House h;
    h.provider("a", {say("The quick "), say("brown"), fail(FaultKind::Overloaded, "went down")});
    auto b = h.provider("b", {say("The"), say(" quick brown fo"), say("x jumps"), stop()});
    route(h, Recovery::Restart);
    h.open();
    const auto got = h.post(chat("r", true));
    CHECK(text_of(got) == "The quick brown fox jumps");
    CHECK(has(got, ": x-portolan-stream-resumed: 1\n\n"));
    CHECK_FALSE(has(got, "error"));
    CHECK(has(got, "data: [DONE]\n\n"));
    CHECK(b->calls == 1);
    const auto first = got.find("\"id\":\""), second = got.rfind("\"id\":\"");
    CHECK(got.substr(first, 60) == got.substr(second, 60)); // one answer, one id
    REQUIRE(h.recent.last(1).front()->attempts.size() == 2);
    CHECK(h.recent.last(1).front()->attempts[0].fault == "overloaded");
}

TEST_CASE("a new answer that differs ends in the error of the old one, without [DONE]")
{
    for (const auto* other : {"The slow", "The"}) { // other words; shorter than what was sent
        House h;
        h.provider("a", {say("The quick"), fail(FaultKind::Overloaded, "went down")});
        h.provider("b", {say(other), stop()});
        route(h, Recovery::Restart);
        h.open();
        const auto got = h.post(chat("r", true));
        INFO(got);
        CHECK(text_of(got) == "The quick");
        CHECK(has(got, "went down"));
        CHECK_FALSE(has(got, "[DONE]"));
        CHECK(target(h, 1).health->failures == 0); // it did nothing wrong
    }
}

TEST_CASE("chunks that a provider sends ready-made are held against each other by what they say")
{
    const auto part = [](const std::string& id, const std::string& text) {
        return chunk(R"({"id":")" + id + R"(","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":")" + text + R"("},"finish_reason":null}]})");
    };
    House h;
    h.provider("a", {part("a-1", "one "), part("a-1", "two "), fail(FaultKind::Truncated, "cut")});
    h.provider("b", {part("b-1", "one two three"), stop()});
    route(h, Recovery::Restart);
    h.open();
    const auto got = h.post(chat("r", true));
    CHECK(text_of(got) == "one two three");
    CHECK(has(got, "[DONE]"));
}

TEST_CASE("tool calls are gone on with under the id that the client knows")
{
    House h;
    h.provider("a", {tool("weather"), args(R"({"city":)"), fail(FaultKind::Truncated, "cut")});
    h.provider("b", {tool("weather"), args(R"({"ci)"), args(R"(ty":"Ghent"})"), Say{[](dispatch::EventSink& s) { s.event({.kind = EventKind::Finish, .name = "tool_calls"}); }}});
    route(h, Recovery::Restart);
    h.open();
    const auto got = h.post(chat("r", true));
    CHECK(has(got, "[DONE]"));
    CHECK(has(got, R"(\"Ghent\"})"));
    CHECK(got.find("call_1") == got.rfind("call_1"));
    CHECK(got.find(R"("name":"weather")") == got.rfind(R"("name":"weather")"));
}

TEST_CASE("without recovery a stream is never taken up again, and an answer that is not streamed is")
{
    for (const auto recovery : {Recovery::Default, Recovery::None}) {
        House h;
        h.provider("a", {say("half"), fail(FaultKind::Overloaded, "went down")});
        auto b = h.provider("b", {say("half and whole"), stop()});
        route(h, recovery);
        h.open();
        CHECK(has(h.post(chat("r", true)), "went down"));
        CHECK(b->calls == 0);
        const auto whole = h.post(chat("r", false));
        if (recovery == Recovery::Default) {
            CHECK(has(whole, R"("content":"half and whole")"));
            CHECK(has(whole, "x-portolan-stream-resumed: 1\r\n"));
        } else {
            CHECK(has(whole, "HTTP/1.1 503"));
            CHECK(b->calls == 0);
        }
    }
}

TEST_CASE("going on from what was sent asks only those who can, with the text behind the messages")
{
    House h;
    h.provider("a", {say("Once upon "), fail(FaultKind::Truncated, "cut")});
    auto b = h.provider("b", {say("never asked"), stop()});
    auto c = h.provider("c", {say("a time"), stop()});
    target(h, 2).facts.features = core::Prefill;
    route(h, Recovery::Continue);
    h.open();
    const auto got = h.post(chat("r", true));
    CHECK(text_of(got) == "Once upon a time");
    CHECK(has(got, ": x-portolan-stream-resumed: 1"));
    CHECK(has(got, "[DONE]"));
    CHECK(b->calls == 0);
    CHECK(has(c->last_json, R"({"role":"user","content":"hi"},{"role":"assistant","content":"Once upon "}])"));
}

TEST_CASE("the refusal of a prefilled answer is not shown; what broke the stream is")
{
    House h;
    h.provider("a", {say("Once upon "), fail(FaultKind::Overloaded, "went down")});
    auto b = h.provider("b", {fail(FaultKind::Refused, "assistant message prefill is not supported")});
    target(h, 1).facts.features = core::Prefill;
    route(h, Recovery::Continue);
    h.open();
    const auto got = h.post(chat("r", true));
    CHECK(b->calls == 1);
    CHECK(has(got, "went down"));
    CHECK_FALSE(has(got, "prefill"));
    CHECK_FALSE(has(got, "[DONE]"));
}

TEST_CASE("with tools or a schema nobody is asked to go on")
{
    for (const auto* more : {R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}])", R"(,"response_format":{"type":"json_object"})"}) {
        House h;
        h.provider("a", {say("Once upon "), fail(FaultKind::Overloaded, "went down")});
        auto b = h.provider("b", {say("a time"), stop()});
        for (std::size_t i = 0; i < 2; ++i) target(h, i).facts.features = ~core::Features{0};
        route(h, Recovery::Continue);
        h.open();
        CHECK(has(h.post(chat("r", true, more)), "went down"));
        CHECK(b->calls == 0);
    }
}

TEST_CASE("what broke off is billed beside what took its place")
{
    House h;
    h.provider("a", {say("The quick "), say("brown"), fail(FaultKind::Truncated, "cut")});
    h.provider("b", {say("The quick brown fox"), Say{[](dispatch::EventSink& s) {
                         dispatch::Usage used;
                         used.input = 10, used.output = 20;
                         s.event({.kind = EventKind::Usage, .usage = &used});
                     }},
                     stop()});
    for (std::size_t i = 0; i < 2; ++i) target(h, i).facts.price_input = 1'000'000, target(h, i).facts.price_output = 2'000'000; // pico-USD
    route(h, Recovery::Restart);
    h.open();
    CHECK(has(h.post(chat("r", true)), "[DONE]"));
    const auto row = h.recent.last(1).front();
    REQUIRE(row->attempts.size() == 2);
    const auto& broken = row->attempts[0];
    CHECK(broken.tokens_out == 2); // it did not say: one for each piece
    CHECK(broken.tokens_in > 0);
    CHECK(broken.cost_nusd == broken.tokens_in * 1000 + 2 * 2000);
    CHECK(row->attempts[1].tokens_out == 20);
    CHECK(row->attempts[1].cost_nusd == 10 * 1000 + 20 * 2000);
    CHECK(row->tokens_in == broken.tokens_in + 10);
    CHECK(row->tokens_out == 22);
    CHECK(row->cost_nusd == broken.cost_nusd + 50'000);
    CHECK(row->usage_estimated);
}
