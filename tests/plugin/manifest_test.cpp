#include "plugin/manifest.h"

#include <catch2/catch.hpp>

using plugin::parse_manifest;

static std::string refusal(const std::string& text)
{
    const auto m = parse_manifest(text);
    return m ? "accepted" : m.fault().message;
}
static std::string with(const std::string& component) { return R"({"id":"a.b","version":"1","components":{"c":)" + component + "}}"; }

TEST_CASE("a whole manifest is understood")
{
    const auto m = parse_manifest(with(
        R"({"kind":"portolan.provider/1","title":"T","config":{"type":"object","properties":{"x":{"type":"string"}}},"streams":true,"review":true,
            "blocking":false,"ops":{"chat":{"native":["openai"],"translates":["gemini"]},"models":{}},"base_url":"https://{config.x}","bases":{"f":"https://f"},
            "auth":{"key":{"scheme":"header","name":"x-key","prefix":"Key "},"aws":{"scheme":"sigv4","service":"s","region":"r"}},
            "client_headers":["X-A"],"reply_headers":["X-B"],"later":{"unknown":1}})"));
    REQUIRE(m.ok());
    const auto& c = m->components.at("c");
    CHECK((c.kind == "portolan.provider/1" && c.title == "T" && c.streams && c.review && !c.blocking));
    CHECK(c.ops.at("chat").native == std::vector<std::string>{"openai"});
    CHECK(c.ops.at("chat").translates == std::vector<std::string>{"gemini"});
    CHECK((!c.ops.at("chat").bodyless && c.ops.at("models").bodyless));
    CHECK(c.auth.at("key").prefix == "Key ");
    CHECK(c.auth.at("aws").more.at("region") == "r");
    CHECK(c.client_headers.at(0) == "x-a");
    CHECK(c.reply_headers.at(0) == "x-b");
    CHECK(c.bases.at("f") == "https://f");
}

TEST_CASE("a generator blocks unless its manifest says that it does not")
{
    CHECK(parse_manifest(with(R"({"kind":"portolan.generator/1","config":{}})"))->components.at("c").blocking);
}

TEST_CASE("what is wrong in a manifest is said with its place")
{
    CHECK(refusal("{") == "manifest: not valid JSON near byte 2");
    CHECK(refusal("[]") == "manifest: /: must be an object");
    CHECK(refusal(R"({"version":"1","components":{}})") == "manifest: /id: is missing");
    CHECK(refusal(R"({"id":"alone","version":"1","components":{}})") == "manifest: /id: must look like who.what, in lower case");
    CHECK(refusal(R"({"id":"a.b","version":1,"components":{}})") == "manifest: /version: must be a string");
    CHECK(refusal(R"({"id":"a.b","version":"1"})") == "manifest: /components: is missing");
    CHECK(refusal(R"({"id":"a.b","version":"1","grants":"content","components":{}})") == "manifest: /grants: must be a list");
    CHECK(refusal(R"({"id":"a.b","version":"1","components":{"A/~":{}}})") == "manifest: /components/A~1~0: must be named in lower case letters, digits, - and _");
    CHECK(refusal(with(R"({"config":{}})")) == "manifest: /components/c/kind: is missing");
    CHECK(refusal(with(R"({"kind":"provider","config":{}})")) == "manifest: /components/c/kind: must look like portolan.provider/1");
    CHECK(refusal(with(R"({"kind":"portolan.provider/1"})")) == "manifest: /components/c/config: is missing");
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{"properties":{"p":{"pattern":"("}}}})")).starts_with("manifest: /components/c/config/properties/p/pattern: "));
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"streams":"yes"})")) == "manifest: /components/c/streams: must be true or false");
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"ops":{"chat":{"native":"openai"}}})")) == "manifest: /components/c/ops/chat/native: must be a list");
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"auth":{"k":{"scheme":"magic"}}})")).starts_with("manifest: /components/c/auth/k/scheme: must be one of"));
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"auth":{"k":{"scheme":"header"}}})")) == "manifest: /components/c/auth/k/name: is missing");
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"auth":{"k":{"scheme":"header","name":"x\r\ny"}}})")).starts_with("manifest: /components/c/auth/k/name: "));
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"auth":{"k":{"scheme":"bearer","plain":"other"}}})")) == "manifest: /components/c/auth/k/plain: must name an entry of auth");
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"auth":{"k":{"scheme":"oauth2","token_url":"t","grant":"client_credentials","send":"header"}}})")) ==
          "manifest: /components/c/auth/k/name: is missing");
    CHECK(refusal(with(R"({"kind":"portolan.x/1","config":{},"auth":{"k":{"scheme":"bearer","prefix":"x\ny"}}})")) == "manifest: /components/c/auth/k/prefix: holds a line break");
}

TEST_CASE("a manifest nested too deep is refused before it is parsed")
{
    CHECK(refusal(std::string(500'000, '[')) == "manifest: nested deeper than 64");
    CHECK(refusal(std::string((1 << 20) + 1, ' ')) == "manifest: larger than 1 MiB");
    CHECK(refusal(R"({"id":"a.b","version":")" + std::string(500, '[') + R"(","components":{}})") == "accepted"); // brackets in a text do not count
}
