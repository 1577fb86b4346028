// Who may use the router, and what is refused.
#include "files.h"
#include "config/secrets.h"

#include <catch2/catch.hpp>

using namespace config_test;
using config::AuthMode;

TEST_CASE("without a file and without a key nobody needs one, on loopback")
{
    const auto loaded = load("");
    REQUIRE(loaded.config);
    CHECK(loaded.config->auth.mode == AuthMode::Off);
    CHECK(loaded.config->server.host == "127.0.0.1");
    CHECK(loaded.problems.empty());
}

TEST_CASE("without a key the router does not listen to other machines")
{
    for (const char* host : {"0.0.0.0", "::", "192.168.1.5", "router.example", "127.evil.example"}) {
        const auto loaded = load("", {{"HOST", host}});
        CHECK(!loaded.config);
        CHECK(text_of(loaded).find("server.host: " + std::string(host) + " is reached from other machines") != std::string::npos);
        CHECK(text_of(loaded).find("set ROUTER_API_KEY") != std::string::npos);
    }
    for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"}) CHECK(load("", {{"HOST", host}}).config);
}

TEST_CASE("keys of nobody on all addresses must be wanted in so many words")
{
    CHECK(!load("auth: {mode: 'off'}\nserver: {host: 0.0.0.0}\n").config);
    CHECK(!load("auth: {mode: optional}\nserver: {host: 0.0.0.0}\n", {{"ROUTER_API_KEY", "k-1234567890"}}).config);
    const auto loaded = load("auth: {mode: off}\nserver: {host: 0.0.0.0, allow_unauthenticated: true}\n");
    REQUIRE(loaded.config);
    CHECK(loaded.config->auth.mode == AuthMode::Off);
    CHECK(loaded.config->server.allow_unauthenticated);
    CHECK(loaded.config->warnings.size() == 1);
}

TEST_CASE("a key makes keys required, and other machines welcome")
{
    const auto loaded = load("", {{"ROUTER_API_KEY", "k-1234567890, k-second"}, {"HOST", "0.0.0.0"}});
    REQUIRE(loaded.config);
    CHECK(loaded.config->auth.mode == AuthMode::Required);
    REQUIRE(loaded.config->auth.keys.size() == 2);
    CHECK(loaded.config->auth.keys[1].key.value == "k-second");
    CHECK(loaded.config->auth.keys[1].name == "ROUTER_API_KEY-2");
    CHECK(loaded.config->auth.keys[0].scopes == std::vector<std::string>{"chat", "read", "admin"});
}

TEST_CASE("a file without any key says how to mend it")
{
    const auto loaded = load("server: {port: 1}\n");
    CHECK(!loaded.config);
    CHECK(text_of(loaded) == "portolan.yaml:1:1: auth.mode: keys are required but there is none: set ROUTER_API_KEY, add auth.keys or auth.keys_file, or "
                             "switch keys off with auth.mode: off (on a loopback address)\n");
}

TEST_CASE("the variable of the key can have another name")
{
    const auto loaded = load("auth: {static_key_env: MINE}\n", {{"MINE", "k-1234567890"}});
    REQUIRE(loaded.config);
    CHECK(loaded.config->auth.keys.at(0).name == "MINE");
}

TEST_CASE("keys are listed with scopes, and read from variables and files")
{
    const Folder folder;
    folder.write("one.key", " k-from-file \n");
    folder.write("many.keys", "# ours\nk-line-two\n\n  k-line-four\n");
    std::filesystem::permissions(folder.path + "/one.key", std::filesystem::perms::owner_read);
    std::filesystem::permissions(folder.path + "/many.keys", std::filesystem::perms::owner_read | std::filesystem::perms::group_read);
    const auto loaded = load("auth:\n  keys_file: many.keys\n  keys:\n    - {name: a, key: k-literal, scopes: [read, admin]}\n    - {key_env: B}\n    - {name: c, key_file: one.key}\n",
                             {{"B", "k-from-env"}}, folder);
    REQUIRE(loaded.config);
    const auto& keys = loaded.config->auth.keys;
    REQUIRE(keys.size() == 5);
    CHECK(keys[0].scopes == std::vector<std::string>{"read", "admin"});
    CHECK(keys[0].key.source == "file");
    CHECK(keys[1].name == "key-2");
    CHECK(keys[1].key.value == "k-from-env");
    CHECK(keys[1].scopes == std::vector<std::string>{"chat"});
    CHECK(keys[2].key.value == "k-from-file");
    CHECK(keys[3].key.value == "k-line-two");
    CHECK(keys[4].name == "keys_file:4");
    CHECK(text_of(loaded).find("auth.keys_file: others than its owner can read") != std::string::npos);
    CHECK(loaded.problems.size() == 1);
}

TEST_CASE("keys that cannot be used are refused where they stand")
{
    CHECK(text_of(load("auth: {keys: [{name: a, key: 'two words'}]}\n")) ==
          "portolan.yaml:1:15: auth.keys[0]: the key is empty, or has spaces or control characters in it\n");
    CHECK(text_of(load("auth: {keys: [{name: a, key_env: NONE}]}\n")) == "portolan.yaml:1:15: auth.keys[0]: the environment variable NONE is not set\n");
    CHECK(text_of(load("auth: {keys: [{name: a}]}\n")).find("auth.keys[0]: needs key_env, key_file or key") != std::string::npos);
    CHECK(text_of(load("auth: {keys: [{name: a, key: k-123456, scopes: [all]}]}\n")) == "portolan.yaml:1:15: auth.keys[0]: scopes must be of chat, read, admin\n");
    CHECK(text_of(load("auth: {keys: [{name: a, key: k-123456, key_env: X}]}\n", {{"X", "y"}})) == "portolan.yaml:1:15: auth.keys[0]: a key is given in more than one way\n");
    CHECK(text_of(load("auth: {keys_file: not-there}\n")).find("auth.keys_file: not-there cannot be read") != std::string::npos);
    CHECK(text_of(load("", {{"ROUTER_API_KEY", "two words"}})).find("environment: auth.static_key_env: ROUTER_API_KEY: the key is empty") == 0);
}

TEST_CASE("one key with two sets of scopes is refused")
{
    CHECK(text_of(load("auth: {keys: [{name: a, key: k-123456}, {name: b, key: k-123456, scopes: [admin]}]}\n")) ==
          "portolan.yaml:1:41: auth.keys[1]: the same key as a, with other scopes\n");
}

TEST_CASE("bytes above ASCII in a key are not usable")
{
    CHECK(config::is_usable_key("sk-abc_DEF.123+/="));
    CHECK(!config::is_usable_key(""));
    CHECK(!config::is_usable_key("a b"));
    CHECK(!config::is_usable_key(std::string_view("a\0b", 3)));
    CHECK(!config::is_usable_key("schlüssel"));
}
