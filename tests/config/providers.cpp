// Presets, variables that make providers, and what an entry becomes.
#include "files.h"
#include "config/presets.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <set>

using namespace config_test;
using nlohmann::json;

namespace {
const std::string on = "auth: {mode: 'off'}\n";

std::vector<std::string> names(const config::Loaded& loaded)
{
    std::vector<std::string> out;
    if (loaded.config)
        for (const auto& p : loaded.config->providers) out.push_back(p.name);
    return out;
}
using Names = std::vector<std::string>;
} // namespace

TEST_CASE("all presets can be read, and their names and aliases are unique")
{
    std::vector<config::Problem> problems;
    const auto presets = config::read_presets(shipped_dir(), problems);
    CHECK(config::check_config(problems).empty());
    std::set<std::string> seen;
    for (const auto& p : presets) {
        INFO(p.name);
        CHECK(seen.insert(p.name).second);
        for (const auto& alias : p.aliases) CHECK(seen.insert(alias).second);
        CHECK(!p.title.empty());
        if (p.component == "echo") continue;
        const bool by_manifest = p.component != "openai-compatible" && p.base_url.empty(); // its manifest says where it is
        CHECK((by_manifest || p.base_url.starts_with("https://") || (p.local && p.base_url.starts_with("http://127.0.0.1"))));
        CHECK(!p.base_url.ends_with("/"));
        CHECK((p.local ? !p.url_env.empty() : !p.key_env.empty()));
        CHECK(p.docs.starts_with("https://"));
        CHECK((p.models == "catalog") == !p.catalog_provider.empty());
    }
    for (const char* wanted : {"openai", "groq", "openrouter", "nvidia_nim", "huggingface", "together", "fireworks", "deepseek", "mistral", "xai",
                               "perplexity", "cerebras", "sambanova", "moonshot", "minimax", "zai", "dashscope", "siliconflow", "nebius", "hyperbolic",
                               "novita", "deepinfra", "github-models", "vercel-gateway", "orcarouter", "ollama", "vllm", "llama.cpp", "lmstudio",
                               "text-generation-inference", "litellm", "cohere", "anthropic", "gemini", "echo", "vertex", "bedrock"}) {
        INFO(wanted);
        CHECK(config::find_preset(presets, wanted) != nullptr);
    }
    const auto* claude = config::find_preset(presets, "claude");
    REQUIRE(claude != nullptr);
    CHECK(claude->name == "anthropic");
}

TEST_CASE("no variable makes two presets live")
{
    std::vector<config::Problem> problems;
    std::set<std::string> seen;
    for (const auto& p : config::read_presets(shipped_dir(), problems))
        for (const auto& name : p.key_env) {
            INFO(name);
            CHECK(seen.insert(name).second);
        }
}

TEST_CASE("every preset can be used as a type, alone and with a key")
{
    std::vector<config::Problem> problems;
    for (const auto& p : config::read_presets(shipped_dir(), problems)) {
        INFO(p.name);
        const auto loaded = load(on + "providers: [{name: mine, type: " + p.name + ", api_key: abcdefgh}]\n");
        REQUIRE(loaded.config);
        const auto mine = provider(loaded, "mine");
        CHECK(mine.preset == p.name);
        CHECK(mine.component == p.component);
        CHECK((!mine.models.empty() || mine.models_open));
    }
}

TEST_CASE("a preset without a place of its own needs the variable of its place too")
{
    CHECK(names(load("", {{"AZURE_OPENAI_API_KEY", "k"}})) == Names{"echo"});
    const auto loaded = load("", {{"AZURE_OPENAI_API_KEY", "k"}, {"AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/"}});
    CHECK(names(loaded) == Names{"azure-openai"});
    CHECK(provider(loaded, "azure-openai").base_url == "https://me.openai.azure.com");
}

TEST_CASE("keys of several variables are one key, and a region comes with them")
{
    CHECK(names(load("", {{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"}})) == Names{"echo"});
    const auto loaded = load("", {{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"}, {"AWS_SECRET_ACCESS_KEY", "se/cret"}, {"AWS_DEFAULT_REGION", "eu-west-1"}});
    REQUIRE(names(loaded) == Names{"bedrock"});
    const auto bedrock = provider(loaded, "bedrock");
    CHECK(bedrock.accounts.at(0).key.value == "AKIDEXAMPLE:se/cret");
    CHECK(json::parse(bedrock.settings_json) == json{{"region", "eu-west-1"}});
    const auto session = load("", {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "b"}, {"AWS_SESSION_TOKEN", "c"}, {"AWS_BEARER_TOKEN_BEDROCK", ""}});
    CHECK(provider(session, "bedrock").accounts.at(0).key.value == "A:b:c");
    const auto key = load("", {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "b"}, {"AWS_BEARER_TOKEN_BEDROCK", "ABSK1"}});
    CHECK(provider(key, "bedrock").accounts.at(0).key.value == "ABSK1");
    const auto own = load(on + "providers: [{name: b, type: bedrock, settings: {region: us-west-2}}]\n", {{"AWS_BEARER_TOKEN_BEDROCK", "ABSK1"}, {"AWS_REGION", "eu-west-1"}});
    CHECK(json::parse(provider(own, "b").settings_json)["region"] == "us-west-2");
}

TEST_CASE("a service account's key file makes Vertex live, with the project that is in it unless a variable names another")
{
    const Folder folder;
    const auto file = folder.path + "/sa.json";
    folder.write("sa.json", "{\n \"type\": \"service_account\",\n \"project_id\": \"mine\",\n \"private_key\": \"-----BEGIN PRIVATE KEY-----\\nAA\\n\"\n}\n");
    const auto loaded = load("", {{"GOOGLE_APPLICATION_CREDENTIALS", file}});
    REQUIRE(names(loaded) == Names{"vertex"});
    const auto vertex = provider(loaded, "vertex");
    CHECK(vertex.accounts.at(0).key.value == R"({"type":"service_account","project_id":"mine","private_key":"-----BEGIN PRIVATE KEY-----\nAA\n"})");
    CHECK(json::parse(vertex.settings_json) == json{{"project", "mine"}});
    const auto other = load("", {{"GOOGLE_APPLICATION_CREDENTIALS", file}, {"GOOGLE_CLOUD_PROJECT", "other"}, {"GOOGLE_CLOUD_LOCATION", "europe-west4"}});
    CHECK(json::parse(provider(other, "vertex").settings_json) == json{{"location", "europe-west4"}, {"project", "other"}});
    const auto express = load("", {{"VERTEX_API_KEY", "AQ.key"}, {"GOOGLE_CLOUD_PROJECT", "other"}, {"GOOGLE_APPLICATION_CREDENTIALS", folder.path + "/absent.json"}});
    CHECK(provider(express, "vertex").accounts.at(0).key.value == "AQ.key");
    CHECK_FALSE(json::parse(provider(express, "vertex").settings_json).contains("project"));
    const auto claude = load("", {{"VERTEX_ANTHROPIC_CREDENTIALS", file}, {"GOOGLE_CLOUD_LOCATION", "us-east5"}});
    REQUIRE(names(claude) == Names{"vertex-anthropic"});
    CHECK(json::parse(provider(claude, "vertex-anthropic").settings_json) == json{{"location", "us-east5"}, {"project", "mine"}});
}

TEST_CASE("an application of Entra ID is a key for Azure")
{
    const auto loaded = load("", {{"AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com"}, {"AZURE_CLIENT_ID", "id"}, {"AZURE_CLIENT_SECRET", "secret"}, {"AZURE_TENANT_ID", "t"}});
    const auto azure = provider(loaded, "azure-openai");
    CHECK(azure.accounts.at(0).key.value == "id:secret");
    CHECK(json::parse(azure.settings_json)["tenant"] == "t");
    const auto bearer = load(on + "providers: [{name: a, type: azure-openai, base_url: 'https://x', api_key: abcdefgh, settings: {auth: bearer}}]\n");
    CHECK(json::parse(provider(bearer, "a").settings_json)["auth"] == "bearer");
}

TEST_CASE("a key variable alone makes a preset live, with the catalogue's models")
{
    const auto loaded = load("", {{"GROQ_API_KEY", "gsk_0123456789"}});
    REQUIRE(loaded.config);
    CHECK(names(loaded) == Names{"groq"});
    const auto groq = provider(loaded, "groq");
    CHECK(groq.type == "groq");
    CHECK(groq.component == "openai-compatible");
    CHECK(json::parse(groq.settings_json)["base_url"] == "https://api.groq.com/openai/v1");
    REQUIRE(groq.accounts.size() == 1);
    CHECK(groq.accounts[0].key.value == "gsk_0123456789");
    CHECK(groq.accounts[0].key.source == "env GROQ_API_KEY");
    CHECK(model(groq, "llama-3.3-70b-versatile").price_input == 590000);
    CHECK(!groq.models_open);
}

TEST_CASE("the older names of key variables work, too")
{
    for (const char* name : {"NVIDIA_NIM_KEY", "NVIDIA_API_KEY", "PROVIDER_KEY_NVIDIA_NIM"}) CHECK(names(load("", {{name, "nvapi-12345678"}})) == Names{"nvidia_nim"});
    for (const char* name : {"GEMINI_API_KEY", "GOOGLE_API_KEY"}) CHECK(names(load("", {{name, "12345678"}})) == Names{"gemini"});
    CHECK(names(load("", {{"HUGGINGFACE_API_TOKEN", "hf_12345678"}})) == Names{"huggingface"});
}

TEST_CASE("a preset with a key of nothing is not live")
{
    CHECK(names(load("", {{"GROQ_API_KEY", ""}})) == Names{"echo"});
}

TEST_CASE("variables that other programs set make no provider")
{
    CHECK(names(load("", {{"GITHUB_TOKEN", "ghp_123456789"}, {"WANDB_API_KEY", "123456789"}})) == Names{"echo"});
}

TEST_CASE("a local server is live by its address only, and OLLAMA_HOST may be one to listen on")
{
    const auto loaded = load("", {{"OLLAMA_HOST", "0.0.0.0"}});
    CHECK(names(loaded) == Names{"ollama"});
    const auto ollama = provider(loaded, "ollama");
    CHECK(ollama.base_url == "http://127.0.0.1:11434");
    CHECK(ollama.local);
    CHECK(ollama.discover);
    CHECK(ollama.models_open);
    CHECK(ollama.accounts.at(0).key.value.empty());
}

TEST_CASE("addresses in variables are completed from the preset")
{
    const std::string like = "http://127.0.0.1:11434/v1";
    CHECK(config::url_from_variable("gpu", like) == "http://gpu:11434/v1");
    CHECK(config::url_from_variable("gpu:5000", like) == "http://gpu:5000/v1");
    CHECK(config::url_from_variable("https://gpu.example", like) == "https://gpu.example/v1");
    CHECK(config::url_from_variable("http://gpu:1/api/v1", like) == "http://gpu:1/api/v1");
    CHECK(config::url_from_variable("http://gpu:1/", like) == "http://gpu:1/v1");
    CHECK(config::url_from_variable("[::]:7", like) == "http://[::1]:7/v1");
    CHECK(config::url_from_variable(":7", like) == "http://127.0.0.1:7/v1");
}

TEST_CASE("UPSTREAM_BASE_URL and UPSTREAM_API_KEY are one provider that takes every name")
{
    const auto loaded = load("", {{"UPSTREAM_BASE_URL", "https://relay.example/v1/"}, {"UPSTREAM_API_KEY", "up-12345678"}, {"UPSTREAM_TIMEOUT_MS", "1234"}});
    REQUIRE(loaded.config);
    CHECK(names(loaded) == Names{"upstream"});
    const auto upstream = provider(loaded, "upstream");
    CHECK(upstream.models_open);
    CHECK(!upstream.discover);
    CHECK(upstream.component == "openai-compatible");
    CHECK(json::parse(upstream.settings_json)["base_url"] == "https://relay.example/v1");
    CHECK(upstream.accounts.at(0).key.value == "up-12345678");
    CHECK(upstream.timeouts.first_byte_ms == 1234);
}

TEST_CASE("a relay without a key works, too")
{
    CHECK(provider(load("", {{"UPSTREAM_BASE_URL", "https://relay.example/v1"}}), "upstream").accounts.at(0).key.value.empty());
}

TEST_CASE("with nothing configured there is echo, which costs nothing")
{
    const auto loaded = load("");
    CHECK(names(loaded) == Names{"echo"});
    const auto echo = provider(loaded, "echo");
    CHECK(echo.component == "echo");
    REQUIRE(echo.models.size() == 1);
    CHECK(echo.models[0].id == "echo");
    CHECK(echo.models[0].free);
    CHECK(echo.models[0].price_output == 0);
    CHECK(!echo.models_open);
    CHECK(json::parse(echo.settings_json) == json::object());
}

TEST_CASE("echo does not stand beside other providers unless it is configured")
{
    CHECK(names(load("", {{"GROQ_API_KEY", "gsk_0123456789"}, {"MISTRAL_API_KEY", "12345678"}})) == Names{"groq", "mistral"});
    CHECK(names(load(on + "providers: [{name: g, type: groq, api_key: abcdefgh}, {name: echo, type: echo}]\n")) == Names{"g", "echo"});
}

TEST_CASE("echo does not take the place of a provider whose key is missing")
{
    const auto loaded = load(on + "providers: [{name: g, type: groq}]\n");
    REQUIRE(loaded.config);
    CHECK(names(loaded).empty());
    CHECK(loaded.config->unusable == Names{"g: no key (set GROQ_API_KEY)"});
    CHECK(text_of(loaded) == "portolan.yaml:2:13: warning: providers[0].api_key: provider g is left out: no key (set GROQ_API_KEY)\n");
}

TEST_CASE("with providers in the file, variables make none unless they are asked to")
{
    const config::Environment keys{{"GROQ_API_KEY", "gsk_0123456789"}, {"MISTRAL_API_KEY", "12345678"}};
    const std::string list = "providers: [{name: g, type: groq}]\n";
    CHECK(names(load(on + list, keys)) == Names{"g"});
    CHECK(names(load(on + list + "env_providers: always\n", keys)) == Names{"g", "mistral"});
    CHECK(names(load(on + "env_providers: never\n", keys)) == Names{"echo"});
    CHECK(names(load(on, keys)) == Names{"groq", "mistral"});
}

TEST_CASE("an entry overrides anything of its preset")
{
    const auto loaded = load(on + "providers:\n  - {name: g, type: groq, api_key_env: OTHER, base_url: 'http://127.0.0.1:1/v1', tier: free, models: [m],\n"
                                  "     settings: {drop: [seed]}, proxy: none, on_disconnect: drain}\n",
                             {{"OTHER", "abcdefgh"}, {"GROQ_API_KEY", "not-this"}});
    const auto g = provider(loaded, "g");
    CHECK(g.base_url == "http://127.0.0.1:1/v1");
    const auto set = json::parse(g.settings_json);
    CHECK((set["base_url"] == "http://127.0.0.1:1/v1" && set["drop"] == json{"seed"}));
    CHECK(g.tier == "free");
    CHECK(g.accounts.at(0).key.value == "abcdefgh");
    CHECK(g.proxy == "none");
    CHECK(g.on_disconnect == "drain");
    REQUIRE(g.models.size() == 1);
    CHECK(g.models[0].id == "m");
}

TEST_CASE("the keys of the older router keep their meaning")
{
    const auto loaded = load(on + "providers:\n"
                                  "  - {name: primary, type: groq, api_key: abcdefgh, model: llama-3.3-70b-versatile, canonical_model: llama-3.3-70b,\n"
                                  "     aliases: [llama-70b], priority: 1, circuit_breaker: {failure_threshold: 2, recovery_time_seconds: 9}}\n"
                                  "  - {name: backup, type: echo, priority: 2, mock_failure_rate: 0.25, breaker: {failure_threshold: 4}}\n");
    REQUIRE(loaded.config);
    const auto primary = provider(loaded, "primary"), backup = provider(loaded, "backup");
    REQUIRE(primary.models.size() == 1);
    CHECK(primary.models[0].id == "llama-3.3-70b");
    CHECK(primary.models[0].upstream == "llama-3.3-70b-versatile");
    CHECK(primary.models[0].price_input == 590000);
    CHECK(primary.aliases.empty());
    CHECK(loaded.config->routing.model_aliases.at("llama-70b") == "llama-3.3-70b");
    CHECK(primary.breaker.failure_threshold == 2);
    CHECK(primary.breaker.recovery_time_seconds == 9);
    CHECK(backup.breaker.failure_threshold == 4);
    CHECK(json::parse(backup.settings_json) == json{{"failure_rate", 0.25}});
    CHECK(backup.priority == 2);
}

TEST_CASE("both spellings of the breaker at once are refused")
{
    CHECK(text_of(load(on + "providers: [{name: e, type: echo, breaker: {}, circuit_breaker: {}}]\n")).find("is the same as circuit_breaker") != std::string::npos);
}

TEST_CASE("allow_paid: false leaves only what costs nothing")
{
    const auto loaded = load(on + "providers: [{name: z, type: zai, api_key: abcdefgh, allow_paid: false}]\n");
    const auto z = provider(loaded, "z");
    CHECK(z.models.size() >= 2);
    for (const auto& m : z.models) {
        INFO(m.id);
        CHECK(m.price_input <= 0);
    }
}

TEST_CASE("accounts are listed with a policy; those without a key are left out")
{
    const auto loaded = load(on + "providers:\n  - name: o\n    type: openai\n    accounts:\n      policy: round-robin\n      list: [{name: a, api_key: abcdefgh}, {api_key_env: TWO}, {api_key_env: NONE}]\n",
                             {{"TWO", "two-12345"}});
    const auto o = provider(loaded, "o");
    CHECK(o.account_policy == "round-robin");
    REQUIRE(o.accounts.size() == 2);
    CHECK(o.accounts[0].name == "a");
    CHECK(o.accounts[1].name == "2");
    CHECK(o.accounts[1].key.value == "two-12345");
}

TEST_CASE("mistakes in accounts are named with their place")
{
    CHECK(text_of(load(on + "providers:\n  - name: o\n    type: openai\n    accounts:\n      - {name: a, api_kye: x}\n")).find(
              "portolan.yaml:6:18: providers[0].accounts[0].api_kye: unknown key; did you mean providers[0].accounts[0].api_key?") == std::string::npos);
    const auto text = text_of(load(on + "providers:\n  - name: o\n    type: openai\n    accounts:\n      - {name: a, api_kye: x}\n"));
    CHECK(text.find("portolan.yaml:6:19: providers[0].accounts[0].api_kye: unknown key") == 0);
}

TEST_CASE("a key with spaces or control characters is refused without being shown")
{
    for (const char* key : {"'two words'", "\"tab\\tbed\"", "\"line\\nbreak\""}) {
        const auto loaded = load(on + "providers: [{name: o, type: openai, api_key: " + key + "}]\n");
        CHECK(!loaded.config);
        CHECK(text_of(loaded) == "portolan.yaml:2:13: providers[0].api_key: the key is empty, or has spaces or control characters in it\n");
    }
}

TEST_CASE("models: any passes every name on, discover asks, a list stands over the catalogue")
{
    const auto loaded = load(on + "providers:\n  - {name: a, type: openai, api_key: abcdefgh, models: any}\n  - {name: b, type: openai, api_key: abcdefgh, models: discover}\n"
                                  "  - name: c\n    type: openai\n    api_key: abcdefgh\n    models:\n      - catalog\n"
                                  "      - {id: gpt-5, price: {input: 0.5}, quality: 0.9, lacks: [images], context: 400000}\n"
                                  "      - {id: house, upstream: gpt-4o, free: true}\n      - unknown-model\n");
    REQUIRE(loaded.config);
    CHECK(provider(loaded, "a").models_open);
    CHECK(provider(loaded, "a").models.empty());
    CHECK(provider(loaded, "b").discover);
    const auto c = provider(loaded, "c");
    CHECK(!c.models_open);
    CHECK(c.models.size() > 30);
    const auto gpt5 = model(c, "gpt-5");
    CHECK(gpt5.price_input == 500000);
    CHECK(gpt5.price_output == 10000000);
    CHECK(gpt5.quality == 0.9);
    CHECK(gpt5.context_tokens == 400000);
    CHECK((gpt5.features & core::Images) == 0);
    CHECK((gpt5.features_known & core::Images) != 0);
    CHECK((gpt5.features & core::Tools) != 0);
    CHECK(model(c, "house").upstream == "gpt-4o");
    CHECK(model(c, "house").price_input == 2500000);
    CHECK(model(c, "unknown-model").price_input == -1);
}

TEST_CASE("a disabled provider is not there")
{
    CHECK(names(load(on + "providers: [{name: a, type: echo}, {name: b, type: groq, enabled: false}]\n")) == Names{"a"});
}

TEST_CASE("route auto is there without being written, and balanced; a written one stays as it is")
{
    const auto loaded = load("");
    REQUIRE(loaded.config->routes.size() == 1);
    CHECK(loaded.config->routes[0].name == "auto");
    CHECK(loaded.config->routes[0].policy == "balanced");
    CHECK(loaded.config->routes[0].targets.empty());
    const auto own = load(on + "routes: [{name: auto, policy: fastest, settings: {a: 1}, targets: ['*', {target: 'echo/*', weight: 4}], deadline_ms: 5, strict: true, stream: {recovery: none}}]\n");
    REQUIRE(own.config);
    REQUIRE(own.config->routes.size() == 1);
    const auto& route = own.config->routes[0];
    CHECK(route.policy == "fastest");
    CHECK(route.settings_json == "{\"a\":1}");
    REQUIRE(route.targets.size() == 2);
    CHECK(route.targets[1].weight == 4);
    CHECK(route.deadline_ms == 5);
    CHECK(route.strict);
    CHECK(route.recovery == "none");
}

TEST_CASE("a target of a provider that is not there is a warning")
{
    CHECK(text_of(load(on + "routes: [{name: r, targets: ['grok/x', 'echo/echo', '*']}]\n")) ==
          "portolan.yaml:2:10: warning: routes[0].targets: grok/x names no provider that is configured\n");
}
