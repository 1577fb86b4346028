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
    const std::vector<std::string> drop{"temperature", "top_p"};
    const auto body = body_for(text, present, {}, drop, {});
    CHECK(body.json == R"({"model":"m","route":"fallback","seed":7})");
    CHECK(body.dropped == std::vector<std::string>{"temperature"});
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
    CHECK(rules.for_model("o3-mini") == std::vector<std::string>{"temperature", "top_p", "seed"});
    CHECK(rules.for_model("gpt-4o").empty());
    CHECK_THROWS_WITH(dispatch::ParamRules({{"(", {}, false}}), Catch::Contains("\"(\" is no regular expression"));
}
