// Which target a request goes to, and why the others do not.
#include "routing/table_fixture.h"

#include <catch2/catch.hpp>

using namespace routing_test;
using core::FaultKind;

TEST_CASE("a route ranks its pool by its policy")
{
    Fixture f;
    f.add("a", "dear", 10), f.add("b", "cheap", 1);
    f.route("auto");
    CHECK(f.order("auto") == Order{"b/cheap", "a/dear"});
    CHECK(f.order("orcarouter/auto") == Order{"b/cheap", "a/dear"});
}

TEST_CASE("a pinned model goes to every provider of it and to no other model")
{
    Fixture f;
    f.add("a", "m", 10, 0, 50), f.add("b", "m", 1, 0, 10), f.add("c", "other", 1);
    CHECK(f.order("m") == Order{"b/m", "a/m"}); // best priority first, whatever it costs
    CHECK(f.order("a/m") == Order{"a/m"});
    CHECK(f.order("nobody/m") == Order{"fault: not_found"});
}

TEST_CASE("an unknown model is refused, or goes to auto where that is configured")
{
    Fixture f;
    f.add("a", "m", 1);
    f.route("auto");
    auto d = f.decide("gpt-nothing");
    REQUIRE_FALSE(d.ok());
    CHECK(d.fault().client_status() == 404);
    CHECK(d.fault().client_code() == "model_not_found");
    CHECK(d.fault().param == "model");
    f.rules.unknown_to_default = true;
    CHECK(f.order("gpt-nothing") == Order{"a/m"});
}

TEST_CASE("no provider at all is said as such")
{
    Fixture f;
    CHECK(f.decide("m").fault().client_code() == "no_providers_configured");
}

TEST_CASE("aliases lead to models, effort suffixes to their base")
{
    Fixture f;
    f.add("a", "m", 1);
    f.table.model_aliases["fast"] = "m";
    CHECK(f.order("fast") == Order{"a/m"});
    const auto d = f.decide("m-high");
    REQUIRE(d.ok());
    CHECK(d->effort == "high");
    CHECK(f.order("m-higher") == Order{"fault: not_found"});
}

TEST_CASE("a request's limits of quality and latency drop what is known to miss them")
{
    Fixture f;
    f.add("a", "poor", 1).facts.quality = 0.3;
    f.add("b", "good", 2).facts.quality = 0.8;
    auto& unknown = f.add("c", "unknown", 3);
    f.route("auto");
    f.ask.min_quality = 0.5;
    CHECK(f.order("auto") == Order{"b/good"}); // somebody is sure
    CHECK(f.order("unknown") == Order{"c/unknown"});
    CHECK(f.order("poor") == Order{"fault: forbidden"});
    f.ask.min_quality = -1, f.ask.max_latency_ms = 100;
    unknown.health->succeeded(150'000, -1);
    CHECK(f.order("auto") == Order{"a/poor", "b/good"});
}

TEST_CASE("the suffixes :floor and :nitro ask for a policy, unless the request names one")
{
    Fixture f;
    f.add("a", "m", 5), f.add("b", "m", 1);
    auto cheapest = std::make_shared<ByCost>(), fastest = std::make_shared<ByCost>();
    cheapest->name = "cheapest", fastest->name = "fastest", fastest->fails = true;
    f.table.policies["cheapest"] = cheapest, f.table.policies["fastest"] = fastest;
    CHECK(f.order("m") == Order{"a/m", "b/m"});
    CHECK(f.order("m:floor") == Order{"b/m", "a/m"});
    CHECK(f.decide("m:floor")->policy == "cheapest");
    CHECK(f.decide("b/m:nitro")->order.front().id == "b/m");
    CHECK(f.decide("m:nitro")->policy == "fastest");
    f.ask.policy = "cheapest";
    CHECK(f.decide("m:nitro")->policy == "cheapest");
    CHECK(f.order("none:floor") == Order{"fault: not_found"});
}

TEST_CASE("hard facts drop candidates before the policy sees them")
{
    Fixture f;
    f.add("a", "blind", 1), f.add("b", "sees", 5, core::Images);
    f.route("auto");
    f.ask.request.features = core::Images | core::Stream;
    CHECK(f.order("auto") == Order{"b/sees"});
    CHECK(f.order("blind") == Order{"fault: no_capable_model"});
    f.ask.request.features = core::AudioIn;
    const auto d = f.decide("auto");
    REQUIRE_FALSE(d.ok());
    CHECK(d.fault().client_status() == 422);
    CHECK(d.fault().message.find("audio input") != std::string::npos);
}

TEST_CASE("a feature that is not known is good enough only when nobody is sure")
{
    Fixture f;
    f.add("a", "unsure", 1).facts.features_known = 0;
    f.add("b", "sure", 5, core::Tools);
    f.route("auto");
    f.ask.request.features = core::Tools;
    CHECK(f.order("auto") == Order{"b/sure"});
    CHECK(f.order("unsure") == Order{"a/unsure"}); // pinned: the upstream may say no itself
    f.ask.deny = {};
    const std::vector<std::string> deny{"b/*"};
    f.ask.deny = deny;
    CHECK(f.order("auto") == Order{"a/unsure"});
}

TEST_CASE("a prompt that fits no context is refused as too long")
{
    Fixture f;
    f.add("a", "small", 1).facts.context_tokens = 50;
    auto d = f.decide("small");
    REQUIRE_FALSE(d.ok());
    CHECK(d.fault().kind == FaultKind::TooLong);
    CHECK(d.fault().client_code() == "context_length_exceeded");
}

TEST_CASE("the request's own limits hold: allow, deny, price, preferences")
{
    Fixture f;
    f.add("a", "m1", 1), f.add("b", "m2", 2), f.add("c", "m3", 3);
    f.route("auto");
    const std::vector<std::string> allow{"b/*", "c/m3"}, deny{"c/*"}, everything{"*"}, prefer{"m3", "b/m2"};
    f.ask.allow = allow;
    CHECK(f.order("auto") == Order{"b/m2", "c/m3"});
    f.ask.deny = deny;
    CHECK(f.order("auto") == Order{"b/m2"});
    f.ask.allow = {}, f.ask.deny = everything;
    CHECK(f.order("auto") == Order{"fault: forbidden"});
    f.ask.deny = {}, f.ask.prefer = prefer;
    CHECK(f.order("auto") == Order{"c/m3", "b/m2", "a/m1"});
    f.ask.allow_fallbacks = false;
    CHECK(f.order("auto") == Order{"c/m3"});
    f.ask.prefer = {}, f.ask.allow_fallbacks = true;
    f.ask.max_cost_nusd = 0;
    CHECK(f.order("auto").size() == 3); // 200 tokens at 3 pUSD are less than one nano-USD
}

TEST_CASE("models[] is tried in order after the model, each target once")
{
    Fixture f;
    f.add("a", "m1", 9), f.add("b", "m2", 1), f.add("b", "m1", 1, 0, 200);
    const std::vector<std::string> chain{"m2", "nothing", "m1"};
    f.ask.fallback_models = chain;
    CHECK(f.order("m1") == Order{"a/m1", "b/m1", "b/m2"});
}

TEST_CASE("preferred models restrict a route if any of them can serve")
{
    Fixture f;
    f.add("a", "m1", 1), f.add("b", "m2", 2);
    f.route("auto");
    f.rules.preferred_models = {"m2"};
    CHECK(f.order("auto") == Order{"b/m2"});
    f.rules.preferred_models = {"absent"};
    CHECK(f.order("auto") == Order{"a/m1", "b/m2"});
}

TEST_CASE("open providers take any name, and only those that nobody else has")
{
    Fixture f;
    f.add("a", "m", 1);
    f.add("upstream", "*", -1).open = true;
    auto d = f.decide("whatever/they-call-it");
    REQUIRE(d.ok());
    CHECK(d->order.at(0).id == "upstream/whatever/they-call-it");
    CHECK(d->order.at(0).model == "whatever/they-call-it");
    CHECK(f.order("m") == Order{"a/m"});
    CHECK(f.order("upstream/m") == Order{"upstream/m"});
}

TEST_CASE("a policy that fails leaves the operator's order")
{
    Fixture f;
    f.add("a", "dear", 10), f.add("b", "cheap", 1);
    f.route("auto");
    f.policy->fails = true;
    const auto d = f.decide("auto");
    REQUIRE(d.ok());
    CHECK(d->failure == "late");
    CHECK(d->order.at(0).id == "a/dear");
}

TEST_CASE("the policy sees facts, health and a running number")
{
    Fixture f;
    auto& t = f.add("a", "m", 1'000'000);
    f.add("b", "n", 2);
    f.route("auto");
    t.lanes[0]->rest.until(2'000'000, core::FaultKind::RateLimited);
    t.health->succeeded(1500, -1);
    f.ask.request.est_input_tokens = 1000, f.ask.request.est_output_tokens = 500;
    REQUIRE(f.decide("auto").ok());
    CHECK(f.policy->candidates.at(0).cooling);
    CHECK(f.policy->candidates.at(0).est_cost_nusd == 1'500'000);
    CHECK(f.policy->candidates.at(0).ttft_p50_us == 1500);
    CHECK_FALSE(f.policy->candidates.at(1).cooling);
    const auto first = f.policy->seen.sequence;
    REQUIRE(f.decide("auto").ok());
    CHECK(f.policy->seen.sequence == first + 1);
}

TEST_CASE("an explanation names what dropped out and why")
{
    Fixture f;
    f.add("a", "blind", 1), f.add("b", "sees", 5, core::Images);
    f.route("auto");
    f.ask.request.features = core::Images;
    const auto d = f.decide("auto", true);
    REQUIRE(d.ok());
    REQUIRE(d->dropped.size() == 1);
    CHECK(d->dropped[0].id == "a/blind");
    CHECK(d->dropped[0].reason == "cannot do: images");
}
