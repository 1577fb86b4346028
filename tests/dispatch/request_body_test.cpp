// What of the client's body goes on, and what does not.
#include "dispatch/request_body.h"

#include <catch2/catch.hpp>

using dispatch::body_for;

namespace {
const std::string_view text = R"({"model":"m", "temperature" : 0.2,"route":"fallback","seed":7})";
const std::vector<std::string_view> present{"model", "temperature", "route", "seed"};
} // namespace

TEST_CASE("a body that needs no change is not copied")
{
    const auto body = body_for(text, present, {}, {}, {});
    CHECK(body.json.data() == text.data());
    CHECK(body.dropped.empty());
}

TEST_CASE("extensions go, and are not reported as loss")
{
    const std::vector<std::string> ours{"route"};
    const auto body = body_for(text, present, ours, {}, {});
    CHECK(body.json == R"({"model":"m", "temperature" : 0.2,"seed":7})");
    CHECK(body.dropped.empty());
}

TEST_CASE("a parameter that the model refuses is dropped and reported, one that is absent is neither")
{
    const std::vector<config::DropParam> drop{{"temperature"}, {"top_p"}};
    const auto body = body_for(text, present, {}, drop, {});
    CHECK(body.json == R"({"model":"m","route":"fallback","seed":7})");
    CHECK(body.dropped == std::vector<std::string>{"temperature"});
}

TEST_CASE("a value of one may stay where the rule says so")
{
    const std::vector<config::DropParam> drop{{"temperature", true}};
    const std::vector<std::string_view> names{"temperature"};
    for (const std::string_view one : {"1", "1.0", "1e0"}) {
        const auto body = "{\"temperature\":" + std::string(one) + "}";
        CHECK(body_for(body, names, {}, drop, {}).json == body);
    }
    for (const std::string_view other : {"0.9", "\"1\"", "null", "10"}) {
        const auto body = "{\"temperature\":" + std::string(other) + "}";
        CHECK(body_for(body, names, {}, drop, {}).json == "{}");
    }
}

TEST_CASE("an effort from the model's name is set unless the client said its own")
{
    CHECK(body_for(R"({"model":"m"})", std::vector<std::string_view>{"model"}, {}, {}, "high").json == R"({"model":"m","reasoning_effort":"high"})");
    const std::string_view own = R"({"model":"m","reasoning_effort":"low"})";
    CHECK(body_for(own, std::vector<std::string_view>{"model", "reasoning_effort"}, {}, {}, "high").json == own);
}

TEST_CASE("rules apply by pattern over the upstream's model name")
{
    const dispatch::ParamRules rules({{"^o[134](-|$)", {"temperature", "top_p"}, false}, {"mini$", {"seed", "top_p"}, false}});
    std::vector<std::string> names;
    for (const auto& p : rules.for_model("o3-mini")) names.push_back(p.name);
    CHECK(names == std::vector<std::string>{"temperature", "top_p", "seed"});
    CHECK(rules.for_model("gpt-4o").empty());
    CHECK_THROWS_WITH(dispatch::ParamRules({{"(", {}, false}}), Catch::Contains("\"(\" is no regular expression"));
}
