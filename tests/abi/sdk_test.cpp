// The C++ helpers of the SDK that hold logic of their own.
#include <portolan/json.hpp>
#include <portolan/plugin.hpp>

#include <catch2/catch.hpp>

#include <vector>

namespace {

std::vector<std::pair<std::string, std::string>> members(std::string_view text)
{
    std::vector<std::pair<std::string, std::string>> out;
    portolan::members(text, [&](std::string_view key, std::string_view value) { out.emplace_back(key, value); });
    return out;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

} // namespace

TEST_CASE("members() hands out keys and values as they stand in the text")
{
    CHECK(members("{}") == Pairs{});
    CHECK(members(R"( { "a" : 1 , "b":[1,{"a":"}"}] ,"c":"x,\"}" } )") ==
          Pairs{{"a", "1"}, {"b", R"([1,{"a":"}"}])"}, {"c", R"("x,\"}")"}});
    CHECK(members(R"({"q\"k":"\\","n":null})") == Pairs{{R"(q\"k)", R"("\\")"}, {"n", "null"}});
    CHECK(members("{\n\"e\":{}\n}") == Pairs{{"e", "{}"}});
}

TEST_CASE("members() ends its walk at damage and never leaves the text")
{
    const std::string good = R"({"a":"x\\\"y","b":{"c":[1,2]},"d":true})";
    for (std::size_t n = 0; n < good.size(); ++n) {
        const std::vector<char> exact(good.begin(),
                                      good.begin() + std::ptrdiff_t(n)); // an allocation that ends with the text
        const auto found = members({exact.data(), exact.size()});
        CHECK(found.size() < 3);
        for (const auto& [key, value] : found) CHECK_FALSE(value.empty());
    }
    for (const char* text : {"", " ", "[{\"a\":1}]", "\"a\"", "{\"a\":}", "{\"a\":,\"b\":1}", "{a:1}"}) {
        INFO(text);
        CHECK(members(text).empty());
    }
}

TEST_CASE("quoted() makes a JSON string of any text")
{
    CHECK(portolan::quoted("a\"b\\c\n\x01") == R"("a\"b\\c\u000a\u0001")");
}

TEST_CASE("a number that the type cannot hold is as good as missing")
{
    const auto j = portolan::json::parse(R"({"huge":1e56,"low":-1e56,"edge":9223372036854775808.0,"fraction":2.9,"big":5e9,"n":7})");
    CHECK(portolan::at<std::int64_t>(j, "/huge", -1) == -1);
    CHECK(portolan::at<std::int64_t>(j, "/low", -1) == -1);
    CHECK(portolan::at<std::int64_t>(j, "/edge", -1) == -1);
    CHECK(portolan::at<std::int64_t>(j, "/fraction", -1) == 2);
    CHECK(portolan::at<unsigned>(j, "/big", 3) == 3);
    CHECK(portolan::at<std::int64_t>(j, "/n", -1) == 7);
    CHECK(portolan::at<double>(j, "/huge") == 1e56);
}
