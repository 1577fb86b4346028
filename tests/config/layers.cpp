// Defaults, file and variables: who stands over whom.
#include "files.h"

#include <catch2/catch.hpp>

using namespace config_test;

namespace {
const config::Environment key{{"ROUTER_API_KEY", "k-1234567890"}};

config::Environment with_key(config::Environment more)
{
    more.insert(key.begin(), key.end());
    return more;
}

config::Effective effective(const config::Loaded& loaded, const std::string& path)
{
    if (loaded.config)
        for (const auto& e : loaded.config->effective)
            if (e.path == path) return e;
    return {};
}
} // namespace

TEST_CASE("the file stands over the default and the variable over the file")
{
    CHECK(load("", key).config->server.port == 8000);
    CHECK(load("server: {port: 9001}\n", key).config->server.port == 9001);
    CHECK(load("server: {port: 9001}\n", with_key({{"PORT", "9002"}})).config->server.port == 9002);
    CHECK(load("server: {port: 9001}\n", with_key({{"PORT", "9002"}, {"PORTOLAN_SERVER__PORT", "9003"}})).config->server.port == 9003);
}

TEST_CASE("an empty variable is one that is not set")
{
    CHECK(load("server: {port: 9001}\n", with_key({{"PORT", ""}})).config->server.port == 9001);
}

TEST_CASE("a variable with a wrong value is named")
{
    const auto loaded = load("", {{"PORT", "eighty"}});
    CHECK(!loaded.config);
    CHECK(text_of(loaded) == "environment: server.port: PORT: must be a whole number\n");
}

TEST_CASE("scalar keys of every kind can be set by variables")
{
    const auto loaded = load("", with_key({{"PORTOLAN_SERVER__LIMITS__IDLE_MS", "5"}, {"PORTOLAN_COMPAT__ORCA_STATUS", "1"},
                                           {"PORTOLAN_COMPAT__HEADERS", "orca"}, {"LOG_LEVEL", "WARNING"}, {"PORTOLAN_DATA", "x"}}));
    REQUIRE(loaded.config);
    CHECK(loaded.config->server.limits.idle_ms == 5);
    CHECK(loaded.config->compat.orca_status);
    CHECK(loaded.config->compat.headers == std::vector<std::string>{"orca"});
    CHECK(loaded.config->logging.level == "warn");
}

TEST_CASE(".env is read and the process's environment stands over it")
{
    const Folder folder;
    folder.write(".env", "# comment\nexport PORT=9100\nHOST='127.0.0.2' # not used for keys\nLOG_LEVEL=\"debug\"\nnonsense\n");
    const auto loaded = load("", with_key({{"PORT", "9200"}}), folder);
    REQUIRE(loaded.config);
    CHECK(loaded.config->server.port == 9200);
    CHECK(loaded.config->server.host == "127.0.0.2");
    CHECK(loaded.config->logging.level == "debug");
    CHECK(text_of(loaded) == ".env:5:1: warning: this line is no NAME=value and is left out\n");
    CHECK(loaded.config->files.front() == folder.path + "/.env");
}

TEST_CASE("variables in values are replaced, with defaults, and $${ is left alone")
{
    const auto loaded = load("server: {port: \"${MY_PORT}\", data_dir: '${A:-x}/$${B}'}\n", with_key({{"MY_PORT", "7000"}}));
    REQUIRE(loaded.config);
    CHECK(loaded.config->server.port == 7000);
    CHECK(loaded.config->server.data_dir == "x/${B}");
}

TEST_CASE("PORTOLAN_CONFIG and LLMROUTER_CONFIG name the file, the own one first")
{
    const Folder folder;
    folder.write("a.yaml", "server: {port: 1001}\n");
    folder.write("b.json", "{\n\t\"server\": {\"port\": 1002}\n}\n");
    CHECK(load("", with_key({{"LLMROUTER_CONFIG", "b.json"}}), folder).config->server.port == 1002);
    CHECK(load("", with_key({{"LLMROUTER_CONFIG", "b.json"}, {"PORTOLAN_CONFIG", "a.yaml"}}), folder).config->server.port == 1001);
}

TEST_CASE("listen gives host and port in one, and variables stand over it")
{
    CHECK(load("server: {listen: '[::1]:81'}\n", key).config->server.host == "::1");
    CHECK(load("server: {listen: '127.0.0.1:81'}\n", key).config->server.port == 81);
    CHECK(load("server: {listen: '127.0.0.1:81'}\n", with_key({{"PORT", "82"}})).config->server.port == 82);
    CHECK(!load("server: {listen: 'nowhere'}\n", key).config);
    CHECK(!load("server: {listen: '127.0.0.1:81', port: 82}\n", key).config);
}

TEST_CASE("merge keys and anchors are followed")
{
    const auto loaded = load("providers:\n  - &first {name: a, type: echo, priority: 7, weight: 2}\n  - {<<: *first, name: b, weight: 3}\n", key);
    REQUIRE(loaded.config);
    CHECK(provider(loaded, "b").priority == 7);
    CHECK(provider(loaded, "b").weight == 3);
}

TEST_CASE("the effective list has each key once, sorted, with its source")
{
    const auto loaded = load("server:\n  port: 9001\n", with_key({{"HOST", "localhost"}}));
    REQUIRE(loaded.config);
    CHECK(effective(loaded, "server.port").value == "9001");
    CHECK(effective(loaded, "server.port").source == "portolan.yaml:2");
    CHECK(effective(loaded, "server.host").source == "env HOST");
    CHECK(effective(loaded, "server.limits.json_depth").source == "default");
    CHECK(effective(loaded, "server.limits.json_depth").value == "64");
    for (std::size_t i = 1; i < loaded.config->effective.size(); ++i) CHECK(loaded.config->effective[i - 1].path < loaded.config->effective[i].path);
}

TEST_CASE("the effective list says which preset a provider's value comes from")
{
    const auto loaded = load("providers:\n  - {name: g, type: groq, api_key: gsk_12345, priority: 3}\n", key);
    CHECK(effective(loaded, "providers[0].base_url").source == "preset groq");
    CHECK(effective(loaded, "providers[0].base_url").value == "\"https://api.groq.com/openai/v1\"");
    CHECK(effective(loaded, "providers[0].priority").source == "portolan.yaml:2");
    CHECK(effective(loaded, "providers[0].weight").source == "default");
}

TEST_CASE("no secret appears in the effective list, in problems or in warnings")
{
    const std::string canary = "CANARY-0123456789-SECRET";
    const Folder folder;
    folder.write("key.txt", canary + "6\n");
    folder.write("keys.txt", canary + "7\n");
    const std::string yaml = "auth:\n  keys_file: keys.txt\n  keys:\n    - {name: a, key: " + canary + "1}\n    - {name: b, key_env: B}\n"
                             "providers:\n"
                             "  - {name: x, type: openai-compatible, base_url: 'https://user:" + canary + "@h/v1', api_key: " + canary + "2,\n"
                             "     extra_headers: {X-Api-Key: " + canary + "3}, settings: {deep: {token: " + canary + "4}, other: '${C}'},\n"
                             "     proxy: 'http://u:" + canary + "@proxy:1'}\n"
                             "  - {name: y, type: openai-compatible, base_url: 'https://h/v1', accounts: [{api_key: " + canary + "5}]}\n"
                             "  - {name: z, type: openai-compatible, base_url: 'https://h/v1', api_key_file: key.txt}\n"
                             "server: {MISTAKE: " + canary + ", port: " + canary + "}\n";
    for (const bool broken : {true, false}) {
        const std::string used = broken ? yaml : yaml.substr(0, yaml.find("server:"));
        const auto loaded = load(used, {{"ROUTER_API_KEY", canary + "8"}, {"B", canary + "9"}, {"C", canary + "c"}, {"HTTP_PROXY", "http://u:" + canary + "@p:1"}}, folder);
        CHECK(static_cast<bool>(loaded.config) == !broken);
        CHECK(text_of(loaded).find("CANARY-0123456789") == std::string::npos);
        if (!loaded.config) continue;
        CHECK(loaded.config->effective.size() > 100);
        for (const auto& e : loaded.config->effective) {
            INFO(e.path);
            CHECK((e.path + e.value + e.source).find("CANARY-0123456789") == std::string::npos);
        }
        for (const auto& text : loaded.config->warnings) CHECK(text.find("CANARY-0123456789") == std::string::npos);
        CHECK(provider(loaded, "z").accounts.at(0).key.value == canary + "6");
    }
}

TEST_CASE("proxies are taken from both spellings, the lower one first")
{
    const auto loaded = load("", with_key({{"HTTP_PROXY", "http://a"}, {"http_proxy", "http://b"}, {"HTTPS_PROXY", "http://c"}, {"NO_PROXY", "x"}, {"all_proxy", "http://d"}}));
    CHECK(loaded.config->proxy_http == "http://b");
    CHECK(loaded.config->proxy_https == "http://c");
    CHECK(loaded.config->proxy_all == "http://d");
    CHECK(loaded.config->proxy_no == "x");
}
