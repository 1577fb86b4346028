#include "plugin/schema.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using plugin::complete;
using Strings = std::vector<std::string>;

static const char* const schema = R"({"type":"object","required":["region"],"properties":{
    "region":{"type":"string","pattern":"^[a-z]+$"},
    "retries":{"type":"integer","minimum":0,"maximum":5,"default":2},
    "tier":{"enum":["fast","cheap"],"default":"fast"},
    "share":{"type":"number"},
    "on":{"type":["boolean","null"]},
    "models":{"type":"array","items":{"type":"string"}},
    "tags":{"type":"object"},
    "inner":{"type":"object","properties":{"depth":{"type":"integer","default":1}}},
    "prices":{"type":"object","additionalProperties":{"type":"number","minimum":0}}}})";

TEST_CASE("a good configuration comes back with its defaults filled in")
{
    const auto c = complete(schema, R"({"region":"eu","inner":{},"tags":{"anything":[1,{}]},"prices":{"a":1}})");
    REQUIRE(c.mistakes.empty());
    CHECK(nlohmann::json::parse(c.json) ==
          nlohmann::json::parse(R"({"region":"eu","retries":2,"tier":"fast","inner":{"depth":1},"tags":{"anything":[1,{}]},"prices":{"a":1}})"));
}

TEST_CASE("all mistakes are told at once, each with its place")
{
    const auto c = complete(schema, R"({"retrys":1,"retries":9,"tier":"slow","share":"x","on":1,"models":["a",2,"b",3],"inner":{"dept":1},"prices":{"a":-1}})");
    CHECK(c.json.empty());
    const Strings expected{R"(/region: is required, but missing)",
                           R"(/inner/dept: unknown key, did you mean "depth"?)",
                           R"(/models/1: must be of type string, is 2)",
                           R"(/models/3: must be of type string, is 3)",
                           R"(/on: must be of type boolean or null, is 1)",
                           R"(/prices/a: must be at least 0, is -1)",
                           R"(/retries: must be at most 5, is 9)",
                           R"(/retrys: unknown key, did you mean "retries"?)",
                           R"(/share: must be of type number, is "x")",
                           R"(/tier: must be one of "fast", "cheap", is "slow")"};
    CHECK(c.mistakes == expected);
}

TEST_CASE("a key that resembles no other is told what there is")
{
    CHECK(complete(R"({"properties":{"a":{},"b":{}}})", R"({"something/else":1})").mistakes == Strings{"/something~1else: unknown key, known are: a, b"});
}

TEST_CASE("an empty schema allows no key and an object without properties allows all")
{
    CHECK(complete("{}", "{}").json == "{}");
    CHECK(complete("{}", R"({"a":1})").mistakes == Strings{"/a: unknown key, nothing can be set here"});
    CHECK(complete(R"({"type":"object"})", R"({"a":1})").json == R"({"a":1})");
    CHECK(complete(R"({"type":"object","additionalProperties":false})", R"({"a":1})").mistakes.size() == 1);
    CHECK(complete(R"({"properties":{},"additionalProperties":true})", R"({"a":1})").json == R"({"a":1})");
}

TEST_CASE("a pattern is searched for and its time stays bounded")
{
    CHECK(complete(schema, R"({"region":"eu-1"})").mistakes == Strings{R"(/region: must match "^[a-z]+$", is "eu-1")"});
    const std::string greedy = R"({"properties":{"x":{"pattern":"^(a+)+$"}}})";
    CHECK(complete(greedy, R"({"x":")" + std::string(64, 'a') + R"(b"})").mistakes.size() == 1); // never ends with backtracking
    CHECK(complete(greedy, R"({"x":")" + std::string(257, 'a') + R"("})").mistakes == Strings{"/x: is longer than 256 characters"});
}

TEST_CASE("what is no object, no JSON or too deep is refused")
{
    CHECK(complete(schema, "[]").mistakes == Strings{"/: must be an object, is []"});
    CHECK(complete(schema, "{").mistakes == Strings{"/: not valid JSON near byte 2"});
    CHECK(complete(schema, std::string(100'000, '[')).mistakes == Strings{"/: nested deeper than 64"});
    CHECK(complete(schema, R"({"region":1e999})").mistakes == Strings{"/: not usable JSON: a number is out of range"});
    CHECK(complete(schema, "{\"region\":\"\xff\"}").mistakes.size() == 1);
}

TEST_CASE("a wrong schema says where")
{
    CHECK(complete(R"({"properties":{"a":{"type":"strin"}}})", "{}").mistakes == Strings{"/properties/a/type: is no type of JSON Schema"});
    CHECK(complete(R"({"required":"a"})", "{}").mistakes == Strings{"/required: must be a list of names"});
    CHECK(complete(R"({"items":[]})", "{}").mistakes == Strings{"/items: must be an object"});
}

TEST_CASE("a whole number may be written as a float but a fraction is no integer")
{
    const std::string s = R"({"properties":{"n":{"type":"integer"}}})";
    CHECK(complete(s, R"({"n":3.0})").mistakes.empty());
    CHECK(complete(s, R"({"n":3.5})").mistakes == Strings{"/n: must be of type integer, is 3.5"});
    CHECK(complete(s, R"({"n":true})").mistakes.size() == 1);
}
