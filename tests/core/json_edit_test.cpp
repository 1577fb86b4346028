// Edits of JSON texts: what changes, and that nothing else does.
#include "core/json_edit.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <random>

using core::JsonEdit;

namespace {

std::string edited(std::string_view text, const std::vector<JsonEdit>& edits)
{
    return core::splice(text, edits).joined();
}

} // namespace

TEST_CASE("a replaced member leaves every other byte as it was")
{
    CHECK(edited(R"( { "a" : 1 ,"model":"x" , "z":[1, 2] } )", {{"/model", "\"y\""}}) ==
          R"( { "a" : 1 ,"model":"y" , "z":[1, 2] } )");
    CHECK(edited("{\"model\":12}", {{"/model", "{}"}}) == "{\"model\":{}}");
}

TEST_CASE("a removed member takes exactly one comma with it")
{
    CHECK(edited(R"({"a":1,"b":2,"c":3})", {{"/a", ""}}) == R"({"b":2,"c":3})");
    CHECK(edited(R"({"a":1,"b":2,"c":3})", {{"/b", ""}}) == R"({"a":1,"c":3})");
    CHECK(edited(R"({"a":1,"b":2,"c":3})", {{"/c", ""}}) == R"({"a":1,"b":2})");
    CHECK(edited(R"({"a":1})", {{"/a", ""}}) == "{}");
    CHECK(edited(R"({"a":1,"b":2,"c":3})", {{"/a", ""}, {"/b", ""}}) == R"({"c":3})");
    CHECK(edited(R"({"a":1,"b":2,"c":3})", {{"/c", ""}, {"/b", ""}}) == R"({"a":1})");
    CHECK(edited(R"({ "a" : 1 , "b" : 2 })", {{"/b", ""}, {"/a", ""}}) == "{  }");
}

TEST_CASE("an added member goes behind the last one that stays")
{
    CHECK(edited("{}", {{"/a", "1"}}) == R"({"a":1})");
    CHECK(edited(R"({ "a":1 })", {{"/b", "2"}, {"/c", "3"}}) == R"({ "a":1,"b":2,"c":3 })");
    CHECK(edited(R"({"a":1})", {{"/a", ""}, {"/b", "2"}}) == R"({"b":2})");
    CHECK(edited(R"({"a":1,"b":2})", {{"/b", ""}, {"/c", "3"}}) == R"({"a":1,"c":3})");
}

TEST_CASE("removing what is not there changes nothing")
{
    CHECK(edited(R"({"a":1})", {{"/b", ""}}) == R"({"a":1})");
    CHECK(edited(R"({"a":1})", {{"/b/c", ""}}) == R"({"a":1})");
    CHECK(edited(R"({"a":null})", {{"/a/c", ""}}) == R"({"a":null})");
}

TEST_CASE("a key that is spelled with escapes is the key that it spells")
{
    CHECK(edited(R"({"mod\u0065l":"x"})", {{"/model", "\"y\""}}) == R"({"mod\u0065l":"y"})");
    CHECK(edited(R"({"\u006dodel":"x","b":1})", {{"/model", ""}}) == R"({"b":1})");
    CHECK(edited(R"({"a\"b":1})", {{"/a\"b", "2"}}) == R"({"a\"b":2})");
    CHECK(edited(R"({"\ud83d\ude00":1})", {{"/\xf0\x9f\x98\x80", "2"}}) == R"({"\ud83d\ude00":2})");
}

TEST_CASE("a member's name inside of a string or below another member is not found")
{
    CHECK(edited(R"({"s":"\"model\":1","o":{"model":2},"model":3})", {{"/model", "4"}}) ==
          R"({"s":"\"model\":1","o":{"model":2},"model":4})");
}

TEST_CASE("a pointer below the top level changes only there and creates missing parents")
{
    CHECK(edited(R"({"o":{ "a":1 },"z":0})", {{"/o/a", "2"}, {"/o/b", "3"}}) == R"({"o":{ "a":2,"b":3 },"z":0})");
    CHECK(edited("{}", {{"/a/b/c", "1"}}) == R"({"a":{"b":{"c":1}}})");
    CHECK(edited(R"({"a":null})", {{"/a/b", "1"}}) == R"({"a":{"b":1}})");
    CHECK(edited("{}", {{"/a/b", "1"}, {"/a/c", "2"}}) == R"({"a":{"b":1,"c":2}})");
    CHECK(edited(R"({"a":{"b":{"c":1}}})", {{"/a/b/c", ""}}) == R"({"a":{"b":{}}})");
}

TEST_CASE("edits of one member apply in their order")
{
    CHECK(edited(R"({"a":1})", {{"/a", "2"}, {"/a", "3"}}) == R"({"a":3})");
    CHECK(edited(R"({"a":1})", {{"/a", "{}"}, {"/a/b", "3"}}) == R"({"a":{"b":3}})");
    CHECK(edited(R"({"a":{"b":1}})", {{"/a", ""}, {"/a/c", "3"}}) == R"({"a":{"c":3}})");
}

TEST_CASE("~0 and ~1 in a pointer are a tilde and a slash")
{
    CHECK(edited(R"({"a/b":1,"m~n":2})", {{"/a~1b", "3"}, {"/m~0n", "4"}}) == R"({"a/b":3,"m~n":4})");
    CHECK(edited("{}", {{"/a~1b", "3"}}) == R"({"a/b":3})");
    CHECK(edited(R"({"":1})", {{"/", "2"}}) == R"({"":2})");
}

TEST_CASE("a bad pointer or one through something else throws")
{
    CHECK_THROWS_AS(edited("{}", {{"", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(edited("{}", {{"a", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(edited("{}", {{"/a~2", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(edited("{}", {{"/a~", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(edited(R"({"a":[1]})", {{"/a/0", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(edited(R"({"a":"x"})", {{"/a/b", ""}}), std::invalid_argument);
    CHECK_THROWS_AS(edited("[1]", {{"/a", "1"}}), std::invalid_argument);
}

TEST_CASE("no edits hand the text out as one piece of itself")
{
    const std::string text = R"({"a":1})";
    const auto out = core::splice(text, {});
    REQUIRE(out.pieces.size() == 1);
    CHECK(out.pieces[0].data() == text.data());
    CHECK(out.size == text.size());
}

TEST_CASE("pieces stay good when the splice is moved, and size is their sum")
{
    const std::string text = R"({"a":1,"b":2})";
    auto first = core::splice(text, {{"/a", "9"}, {"/c", "3"}});
    const auto moved = std::move(first);
    CHECK(moved.joined() == R"({"a":9,"b":2,"c":3})");
    CHECK(moved.size == moved.joined().size());
}

namespace {

using nlohmann::ordered_json;

struct Random {
    std::mt19937 engine;
    std::size_t below(std::size_t n) { return engine() % n; }
};

const char* const names[] = {"a", "b", "model", "\xc3\xa9", "x/y", "t~u", "q\"", ""};

ordered_json value(Random& random, int depth)
{
    switch (random.below(depth > 2 ? 4 : 6)) {
    case 0:
        return random.below(1000);
    case 1:
        return "te\"xt, {[\\ \n";
    case 2:
        return nullptr;
    case 3:
        return true;
    case 4: {
        auto list = ordered_json::array();
        for (auto n = random.below(3); n > 0; --n) list.push_back(value(random, depth + 1));
        return list;
    }
    default: {
        auto object = ordered_json::object();
        for (auto n = random.below(4); n > 0; --n) object[names[random.below(8)]] = value(random, depth + 1);
        return object;
    }
    }
}

std::string spelled(Random& random, const std::string& text) // some characters as escapes
{
    std::string out = ordered_json(text).dump();
    if (random.below(3) == 0)
        if (const auto at = out.find('o'); at != out.npos) out.replace(at, 1, "\\u006F");
    return out;
}

std::string printed(Random& random, const ordered_json& j) // with odd blanks
{
    const auto blank = [&] { return std::string(random.below(3) == 0 ? " \n" : ""); };
    std::string out;
    if (j.is_object()) {
        out = '{' + blank();
        for (auto it = j.begin(); it != j.end(); ++it)
            out += (it == j.begin() ? "" : "," + blank()) + spelled(random, it.key()) + blank() + ':' + blank() +
                   printed(random, it.value()) + blank();
        return out + '}';
    }
    return j.dump();
}

std::string escaped(std::string name)
{
    std::string out;
    for (const char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return out;
}

} // namespace

TEST_CASE("random edits do to the text what they do to the parsed object")
{
    Random random{std::mt19937(20240607)};
    int compared = 0;
    for (int round = 0; round < 20000; ++round) {
        auto object = ordered_json::object();
        for (auto n = random.below(5); n > 0; --n) object[names[random.below(8)]] = value(random, 0);
        const auto text = printed(random, object);
        auto expected = object;
        std::vector<std::string> store;
        store.reserve(16);
        std::vector<JsonEdit> edits;
        bool through_other = false;
        for (auto n = 1 + random.below(4); n > 0; --n) {
            std::string pointer;
            std::vector<std::string> path;
            for (auto depth = 1 + random.below(3); depth > 0; --depth) {
                path.push_back(names[random.below(8)]);
                pointer += '/' + escaped(path.back());
            }
            const bool removes = random.below(3) == 0;
            const auto fresh = value(random, 1);
            ordered_json* at = &expected; // the semantics, spelled out on the tree
            for (std::size_t i = 0; i + 1 < path.size() && at; ++i) {
                if (!at->contains(path[i]) || (*at)[path[i]].is_null()) {
                    if (removes)
                        at = nullptr;
                    else
                        (*at)[path[i]] = ordered_json::object();
                }
                if (at) at = &(*at)[path[i]];
                if (at && !at->is_object()) through_other = true, at = nullptr;
            }
            if (at && removes)
                at->erase(path.back());
            else if (at)
                (*at)[path.back()] = fresh;
            store.push_back(pointer);
            const auto& kept_pointer = store.back();
            store.push_back(removes ? "" : fresh.dump());
            edits.push_back({kept_pointer, store.back()});
        }
        if (through_other) {
            CHECK_THROWS_AS(core::splice(text, edits), std::invalid_argument);
            continue;
        }
        ++compared;
        const auto out = edited(text, edits);
        INFO(text << "  ->  " << out);
        const auto got = nlohmann::json::parse(out);
        REQUIRE(got == nlohmann::json::parse(expected.dump()));
    }
    CHECK(compared > 5000);
}
