#include "sandbox.h"

#include <catch2/catch.hpp>

using namespace dispatch;
using core::FaultKind;
using plugin::Function;

namespace {

Reply replied(int status, std::string_view body = {}) { return {.status = status, .headers = {}, .body = body}; }
Frame piece(std::string_view data, std::string_view raw = {}) { return {.kind = 2, .event = {}, .data = data, .raw = raw}; }

struct ProviderWall {
    Sandbox box;
    plugin::Registry registry;
    std::unique_ptr<Provider> provider;

    ProviderWall(const std::string& file, const std::string& component, const std::string& config, config::Plugins settings = {})
        : registry((box.put(file, distinct()), take(box, std::move(settings))), box.store().string(), "/nowhere")
    {
        registry.load();
        auto made = registry.make_provider(component, config);
        if (!made) throw std::runtime_error(made.fault().message);
        provider = std::move(*made);
    }
    static config::Plugins take(const Sandbox& box, config::Plugins settings)
    {
        const auto base = box.settings();
        settings.dirs = base.dirs, settings.trust = base.trust;
        if (settings.frame_us == 5'000) settings.frame_us = base.frame_us;
        settings.decide_us = base.decide_us, settings.request_us = base.request_us;
        return settings;
    }
};

struct Rude : ProviderWall {
    explicit Rude(const std::string& mode, config::Plugins settings = {}) : ProviderWall("misbehaves", "rude", R"({"mode":")" + mode + "\"}", std::move(settings)) {}

    core::Result<HttpPlan> plan()
    {
        ProviderRequest rq;
        auto exchange = provider->open(facts(), rq);
        if (!exchange) return exchange.fault();
        return (*exchange)->request(facts(), rq);
    }
    core::Status frame(Recorder& sink, bool native = false)
    {
        ProviderRequest rq;
        rq.native = native;
        auto exchange = provider->open(facts(), rq);
        if (!exchange) return exchange.fault();
        return (*exchange)->frame(facts(), replied(200), piece("x", "x"), sink);
    }
};

} // namespace

TEST_CASE("a request goes out as the plugin says")
{
    ProviderWall wall("good", "plain-wire", "{}");
    ProviderRequest rq;
    rq.model = "m", rq.json = R"({"model":"m"})";
    const Pair headers[] = {{"x-beta", "one"}, {"cookie", "secret"}};
    rq.headers = headers;
    auto exchange = wall.provider->open(facts(), rq);
    REQUIRE(exchange.ok());
    const auto plan = (*exchange)->request(facts(), rq);
    REQUIRE(plan.ok());
    CHECK(plan->method == "POST");
    CHECK(plan->url_base == "https://eu.example/v1");
    CHECK(plan->path == "/chat/completions?beta=1");
    CHECK(plan->headers == std::vector<std::pair<std::string, std::string>>{{"x-beta", "one"}});
    CHECK(plan->auth == "key");
    CHECK_FALSE(plan->own_body);
    REQUIRE(plan->edits.size() == 1);
    CHECK((plan->edits[0].pointer == "/model" && plan->edits[0].json == "\"upstream-name\""));
    CHECK((plan->framing == 2 && plan->delay_us == 1500));
    CHECK(plan->lost == std::vector<std::string>{"seed"});
    rq.step = 1;
    CHECK((*exchange)->request(facts(), rq)->url_base == "https://files.example");
}

TEST_CASE("the operator's base URL comes before the manifest's, and never ends in a slash")
{
    ProviderWall wall("good", "plain-wire", R"({"base_url":"http://127.0.0.1:9/api/","region":"us"})");
    ProviderRequest rq;
    CHECK((*wall.provider->open(facts(), rq))->request(facts(), rq)->url_base == "http://127.0.0.1:9/api");
    ProviderWall other("good", "plain-wire", R"({"region":"us"})");
    CHECK((*other.provider->open(facts(), rq))->request(facts(), rq)->url_base == "https://us.example/v1");
}

TEST_CASE("frames become events, the end says the usage and asks for another round")
{
    ProviderWall wall("good", "plain-wire", "{}");
    ProviderRequest rq;
    rq.native = true;
    auto exchange = wall.provider->open(facts(), rq);
    REQUIRE(exchange.ok());
    Recorder sink;
    CHECK((*exchange)->frame(facts(), replied(200), piece("Hel", "data: Hel\n\n"), sink).ok());
    CHECK((*exchange)->frame(facts(), replied(200), piece("lo", "data: lo\n\n"), sink).ok());
    CHECK(sink.text() == "Hello");
    CHECK(sink.seen[0].kind == EventKind::Raw);
    CHECK(sink.seen[0].data == "data: Hel\n\n");
    const auto more = (*exchange)->end(facts(), sink);
    REQUIRE(more.ok());
    CHECK(*more);
    CHECK((sink.seen.back().usage.input == 7 && sink.seen.back().usage.output == 3 && sink.seen.back().usage.estimated));
    CHECK(sink.seen.back().usage.reasoning == -1);
    CHECK_FALSE(*(*exchange)->end(facts(), sink));
    exchange.value().reset();
    CHECK(counts(wall.registry, "test.good", Function::Close).ok >= 1);
}

TEST_CASE("a fault inside an answer keeps its kind, status and wait")
{
    ProviderWall wall("good", "plain-wire", "{}");
    ProviderRequest rq;
    auto exchange = wall.provider->open(facts(), rq);
    Recorder sink;
    CHECK((*exchange)->frame(facts(), replied(200), piece("over"), sink).ok());
    REQUIRE(sink.seen.size() == 1);
    const auto& fault = sink.seen[0].fault;
    CHECK(fault.kind == FaultKind::Overloaded);
    CHECK((fault.message == "busy" && fault.status == 529 && fault.retry_after_us == 2'000'000));
}

TEST_CASE("a frame that makes no sense is the upstream's fault with the plugin's words")
{
    ProviderWall wall("good", "plain-wire", "{}");
    ProviderRequest rq;
    auto exchange = wall.provider->open(facts(), rq);
    Recorder sink;
    const auto done = (*exchange)->frame(facts(), replied(200), piece("bad"), sink);
    REQUIRE_FALSE(done.ok());
    CHECK(done.fault().kind == FaultKind::BadReply);
    CHECK(done.fault().message == "this frame is nonsense");
}

TEST_CASE("classify says what an error is, wants to ask again, or leaves it to the host")
{
    ProviderWall wall("good", "plain-wire", "{}");
    ProviderRequest rq;
    auto exchange = wall.provider->open(facts(), rq);
    const auto limited = (*exchange)->classify(facts(), replied(429, "slow down"));
    CHECK((limited.kind == FaultKind::RateLimited && limited.message == "slow down" && limited.retry_after_us == 3'000'000));
    CHECK(limited.upstream_status == 429);
    const auto again = (*exchange)->classify(facts(), replied(400, "odd option"));
    CHECK((again.kind == FaultKind::Refused && again.rebuild && again.retry_after_us == -1));
    CHECK((*exchange)->classify(facts(), replied(500)).kind == FaultKind::None);
}

TEST_CASE("what a component cannot serve leaves room for the next candidate")
{
    ProviderWall wall("good", "plain-wire", "{}");
    ProviderRequest rq;
    rq.model = "absent";
    const auto exchange = wall.provider->open(facts(), rq);
    REQUIRE_FALSE(exchange.ok());
    CHECK(exchange.fault().kind == FaultKind::NoCapableModel);
    CHECK(exchange.fault().message == "no such model here");
    CHECK(core::rule_of(exchange.fault().kind).next_candidate);
}

TEST_CASE("operations and dialects match as the manifest says")
{
    ProviderWall wall("good", "plain-wire", "{}");
    const auto match = [&](Op op, Dialect d) { return wall.provider->match(op, d); };
    CHECK((match(Op::Chat, Dialect::OpenAi).ok && match(Op::Chat, Dialect::OpenAi).native));
    const auto translated = match(Op::Chat, Dialect::Anthropic);
    CHECK((translated.ok && !translated.native && translated.dialect == Dialect::Anthropic));
    const auto by_host = match(Op::Chat, Dialect::Gemini);
    CHECK((by_host.ok && !by_host.native && by_host.dialect == Dialect::OpenAi));
    CHECK((match(Op::Responses, Dialect::Responses).ok && match(Op::Responses, Dialect::Responses).native));
    CHECK_FALSE(match(Op::Responses, Dialect::OpenAi).ok);
    CHECK_FALSE(match(Op::Embeddings, Dialect::OpenAi).ok);
    CHECK((match(Op::Embeddings, Dialect::Gemini).ok && match(Op::Embeddings, Dialect::Gemini).native));
    CHECK((match(Op::Models, Dialect::Anthropic).ok && !match(Op::Models, Dialect::Anthropic).native));
    CHECK_FALSE(match(Op::Speech, Dialect::OpenAi).ok);
}

TEST_CASE("credentials are described by the manifest's entry")
{
    ProviderWall wall("good", "plain-wire", "{}");
    const auto* key = wall.provider->auth("key");
    REQUIRE(key);
    CHECK((key->scheme == "header" && key->name == "x-api-key" && key->prefix == "Key "));
    CHECK_FALSE(wall.provider->auth("other"));
    CHECK((wall.provider->streams() && !wall.provider->generates() && !wall.provider->blocks()));
}

TEST_CASE("a generator steps, waits as it asks, and ends")
{
    ProviderWall wall("good", "counter", "{}");
    CHECK((wall.provider->generates() && !wall.provider->blocks()));
    ProviderRequest rq;
    auto run = wall.provider->open_run(facts(), rq);
    REQUIRE(run.ok());
    Recorder sink;
    std::vector<std::int64_t> waits;
    for (bool more = true; more;) {
        const auto step = (*run)->step(facts(), sink);
        REQUIRE(step.ok());
        waits.push_back(step->delay_us), more = step->more;
    }
    CHECK(sink.text() == "012");
    CHECK(waits == std::vector<std::int64_t>{1000, 2000, 0});
    CHECK_FALSE(wall.provider->open(facts(), rq).ok());
}

TEST_CASE("a run that nobody listens to any more is cancelled")
{
    ProviderWall wall("good", "counter", "{}");
    ProviderRequest rq;
    auto run = wall.provider->open_run(facts(), rq);
    Recorder sink;
    sink.at_most = 1;
    const auto step = (*run)->step(facts(), sink);
    REQUIRE_FALSE(step.ok());
    CHECK(step.fault().kind == FaultKind::Cancelled);
}

TEST_CASE("a plugin cannot choose another host, split a request or set what is the host's")
{
    const std::pair<const char*, const char*> rules[] = {
        {"elsewhere", "its path does not begin with /"},
        {"split-path", "its path holds characters that must be percent-encoded"},
        {"method", "it asks for a method that is not GET, POST, PUT, PATCH, DELETE or HEAD"},
        {"base", "it asks for a base that its manifest does not name"},
        {"header-value", "a header's value holds a line break or NUL"},
        {"header-nul", "a header's value holds a line break or NUL"},
        {"header-name", "a header's name holds characters that it may not"},
        {"header-empty", "a header's name holds characters that it may not"},
        {"host", "it sets a header that belongs to the host"},
        {"length", "it sets a header that belongs to the host"},
        {"chunked", "it sets a header that belongs to the host"},
        {"auth", "it asks for credentials that its manifest does not name"},
        {"field-name", "a form's field has no name, or a line break in its head"},
        {"field-late", "it opens a field behind a body that has none"},
        {"part", "it sends a part that the request does not have"},
        {"edit-pointer", "it edits the request at something that is no JSON pointer"},
        {"edit-json", "it edits something into the request that is not JSON"},
        {"framing", "it asks for a framing that this host does not know"},
        {"silent", "it does not say where to send the request"},
    };
    for (const auto& [mode, rule] : rules) {
        INFO(mode);
        Rude rude(mode);
        const auto refused = counts(rude.registry, "test.misbehaves", Function::Request).refused;
        const auto plan = rude.plan();
        REQUIRE_FALSE(plan.ok());
        CHECK(plan.fault().kind == FaultKind::PluginFailed);
        CHECK(plan.fault().message == std::string("the provider plugin broke a rule: ") + rule);
        if (std::string_view(mode) != "silent") CHECK(counts(rude.registry, "test.misbehaves", Function::Request).refused == refused + 1);
    }
}

TEST_CASE("a text without bytes is empty whatever its size says")
{
    Rude rude("null-text");
    const auto plan = rude.plan();
    REQUIRE(plan.ok());
    CHECK(plan->headers.at(0).second.empty());
}

TEST_CASE("status codes that nobody knows are the plugin's failure")
{
    CHECK(Rude("garbage-status").plan().fault().kind == FaultKind::PluginFailed);
    CHECK(Rude("unsupported").plan().fault().kind == FaultKind::NoCapableModel);
    Rude rude("garbage-end");
    ProviderRequest rq;
    Recorder sink;
    CHECK((*rude.provider->open(facts(), rq))->end(facts(), sink).fault().kind == FaultKind::PluginFailed);
}

TEST_CASE("events after the host wants no more do not reach it")
{
    Rude rude("goes-on");
    Recorder sink;
    sink.at_most = 2;
    CHECK(rude.frame(sink).ok());
    CHECK(sink.offered == 2);
}

TEST_CASE("event kinds from the future are ignored")
{
    Rude rude("kinds");
    Recorder sink;
    CHECK(rude.frame(sink).ok());
    REQUIRE(sink.seen.size() == 1);
    CHECK(sink.seen[0].kind == EventKind::Text);
}

TEST_CASE("raw bytes are refused in an exchange that is not native")
{
    Rude rude("raw");
    Recorder sink;
    const auto done = rude.frame(sink);
    REQUIRE_FALSE(done.ok());
    CHECK(done.fault().kind == FaultKind::PluginFailed);
    CHECK(sink.seen.empty());
    CHECK(rude.frame(sink, true).ok());
    CHECK(sink.seen.size() == 1);
}

TEST_CASE("a tool call with a wild number and events without what they need are refused and counted")
{
    for (const char* mode : {"index", "nulls"}) {
        Rude rude(mode);
        Recorder sink;
        const auto before = counts(rude.registry, "test.misbehaves", Function::Frame).refused;
        (void)rude.frame(sink).ok();
        CHECK(sink.seen.empty());
        CHECK(counts(rude.registry, "test.misbehaves", Function::Frame).refused > before);
    }
}

TEST_CASE("an event that ends early is not read past its end")
{
    Rude rude("short-event");
    Recorder sink;
    CHECK(rude.frame(sink).ok());
    CHECK(sink.text() == "short but fine");
}

TEST_CASE("a table that ends before classify leaves the guess to the host")
{
    ProviderWall wall("old_tables", "old-provider", "{}");
    ProviderRequest rq;
    auto exchange = wall.provider->open(facts(), rq);
    REQUIRE(exchange.ok());
    CHECK((*exchange)->request(facts(), rq)->url_base == "http://127.0.0.1");
    CHECK((*exchange)->classify(facts(), replied(400, "x")).kind == FaultKind::None);
}

TEST_CASE("a frame over its time is counted and its events stand")
{
    config::Plugins settings;
    settings.frame_us = 1;
    Rude rude("slow", settings);
    const auto before = counts(rude.registry, "test.misbehaves", Function::Frame);
    Recorder sink;
    CHECK(rude.frame(sink).ok());
    CHECK(sink.text() == "x");
    const auto after = counts(rude.registry, "test.misbehaves", Function::Frame);
    CHECK(after.late == before.late + 1);
    CHECK(after.ok == before.ok + 1);
    CHECK(after.total_ns > before.total_ns + 1000);
}
