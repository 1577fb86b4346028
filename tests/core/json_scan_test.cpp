// The scanner: what is JSON, what is not, and what strings and numbers are worth.
#include "core/json_scan.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using core::JsonFault;
using core::JsonScanner;
using core::JsonString;

namespace {

JsonFault scan(std::string_view text, std::size_t depth = 64, bool unique = true)
{
    JsonScanner scanner(text, depth, unique);
    if (scanner.skip() && scanner.end()) return JsonFault::None;
    CHECK(scanner.fault() != JsonFault::None);
    return scanner.fault();
}

JsonString string_of(std::string_view text)
{
    JsonScanner scanner(text, 4, true);
    JsonString out;
    REQUIRE(scanner.string(out));
    return out;
}

} // namespace

TEST_CASE("a string knows how long its text is without unpacking it")
{
    for (const std::string_view text : {R"("")", R"("abc")", R"("a\nb")", R"("\u0041\u00e9\u20ac")",
                                        R"("\ud83d\ude00!")", R"("\/\\\"")", "\"\xc3\xa9\xf0\x9f\x98\x80\""}) {
        const auto seen = string_of(text);
        CHECK(seen.text() == nlohmann::json::parse(text).get<std::string>());
        CHECK(seen.bytes == seen.text().size());
    }
}

TEST_CASE("half a surrogate pair becomes U+FFFD and is known as such")
{
    for (const std::string_view text :
         {R"("\ud800")", R"("\udc00")", R"("\ud800\ud800\udc00")", R"("\ud800x")", R"("\ud800\n")"}) {
        const auto seen = string_of(text);
        CHECK(seen.half_surrogate());
        CHECK(seen.text().find("\xef\xbf\xbd") != std::string::npos);
        CHECK(seen.bytes == seen.text().size());
    }
    CHECK_FALSE(string_of(R"("\ud83d\ude00 \\ud800")").half_surrogate());
}

TEST_CASE("a key that is there twice is a fault in whatever object and spelling")
{
    CHECK(scan(R"({"a":1,"a":2})") == JsonFault::DuplicateKey);
    CHECK(scan(R"({"a":1,"\u0061":2})") == JsonFault::DuplicateKey);
    CHECK(scan(R"([{"x":{"a":1,"b":{},"a":2}}])") == JsonFault::DuplicateKey);
    CHECK(scan(R"({"":1,"":2})") == JsonFault::DuplicateKey);
    CHECK(scan(R"({"a":{"a":{"a":1}},"b":{"a":1}})") == JsonFault::None);
    CHECK(scan(R"({"a":1,"A":2})") == JsonFault::None);
    CHECK(scan(R"({"a":1,"a":2})", 64, false) == JsonFault::None);
}

TEST_CASE("a key that is there twice among a hundred thousand is found")
{
    std::string text = "{";
    for (int i = 0; i < 100'000; ++i) text += "\"key" + std::to_string(i) + "\":0,";
    CHECK(scan(text + "\"last\":0}") == JsonFault::None);
    CHECK(scan(text + "\"key4711\":0}") == JsonFault::DuplicateKey);
    CHECK(scan(text + "\"k\\u0065y4711\":0}") == JsonFault::DuplicateKey);
}

TEST_CASE("objects around the size at which the search for duplicates changes are searched all the same")
{
    for (int n = 1; n < 60; ++n)
        for (int twin = 0; twin < n; ++twin) {
            std::string text = "{";
            for (int i = 0; i < n; ++i) text += '"' + std::string(static_cast<std::size_t>(i), 'k') + "\":{\"k\":0},";
            REQUIRE(scan(text + "\"other\":0}") == JsonFault::None);
            REQUIRE(scan(text + '"' + std::string(static_cast<std::size_t>(twin), 'k') + "\":0}") ==
                    JsonFault::DuplicateKey);
        }
}

TEST_CASE("depth counts objects and arrays alike, up to the limit and not beyond")
{
    for (const std::size_t limit : {1U, 2U, 64U}) {
        CHECK(scan(std::string(limit, '[') + std::string(limit, ']'), limit) == JsonFault::None);
        CHECK(scan(std::string(limit + 1, '[') + std::string(limit + 1, ']'), limit) == JsonFault::Depth);
    }
    CHECK(scan(R"({"a":[{"b":1}]})", 3) == JsonFault::None);
    CHECK(scan(R"({"a":[{"b":1}]})", 2) == JsonFault::Depth);
    CHECK(scan(std::string(100'000, '['), static_cast<std::size_t>(-1)) == JsonFault::Depth);
}

TEST_CASE("a number that overflows a double is refused, one that vanishes or is an integer of any length below is not")
{
    CHECK(scan("1e400") == JsonFault::Range);
    CHECK(scan("-1e400") == JsonFault::Range);
    CHECK(scan("0.0001e500") == JsonFault::Range);
    CHECK(scan('1' + std::string(310, '0')) == JsonFault::Range);
    CHECK(scan("1e99999999999999999999") == JsonFault::Range);
    CHECK(scan("1e308") == JsonFault::None);
    CHECK(scan("1e-400") == JsonFault::None);
    CHECK(scan("0e400") == JsonFault::None);
    CHECK(scan("1e-99999999999999999999") == JsonFault::None);
    CHECK(scan('1' + std::string(300, '0')) == JsonFault::None);
    CHECK(scan("18446744073709551616") == JsonFault::None);
    CHECK(scan("0." + std::string(400, '0') + "1") == JsonFault::None);
}

TEST_CASE("every prefix and every changed byte of a text is judged as another parser judges it")
{
    const std::string text = R"({"a":[1,-2.5e3,true,false,null],"b\n\u00e9":{"c":"x\\y"},"d":"\ud83d\ude00","e":0})";
    const auto agrees = [](const std::string& candidate) {
        const bool theirs = nlohmann::json::accept(candidate);
        const auto ours = scan(candidate, 64, false);
        INFO(candidate);
        if (theirs) REQUIRE(ours == JsonFault::None);
        // Only what UTF-8 checks and lone surrogates decide is left to the other side.
        if (!theirs && candidate.find("\\u") == candidate.npos) REQUIRE(ours != JsonFault::None);
    };
    for (std::size_t n = 0; n < text.size(); ++n) CHECK(scan(text.substr(0, n)) == JsonFault::Syntax);
    for (std::size_t at = 0; at < text.size(); ++at)
        for (int c = 0; c < 128; ++c) {
            auto changed = text;
            changed[at] = static_cast<char>(c);
            agrees(changed);
        }
}

TEST_CASE("a string ends where it ends, wherever it lies among sixteen bytes")
{
    for (std::size_t before = 0; before < 40; ++before)
        for (const std::string_view mark : {"\\n", "\\u00e9", "\x01", "\x1f", "\x7f"}) {
            const auto text = '"' + std::string(before, 'a') + std::string(mark) + std::string(20, 'b') + '"';
            REQUIRE((scan(text) == JsonFault::None) == nlohmann::json::accept(text));
            REQUIRE(scan(text.substr(0, text.size() - 1)) == JsonFault::Syntax);
        }
}

TEST_CASE("integers are read whole or not at all")
{
    std::int64_t value = 0;
    CHECK((core::json_integer("-12", value) && value == -12));
    CHECK((core::json_integer("9223372036854775807", value) && value == INT64_MAX));
    CHECK_FALSE(core::json_integer("9223372036854775808", value));
    CHECK_FALSE(core::json_integer("1.0", value));
    CHECK_FALSE(core::json_integer("1e3", value));
    CHECK_FALSE(core::json_integer("", value));
}
