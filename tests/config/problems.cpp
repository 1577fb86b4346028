// Every mistake is named with its place.
#include "files.h"

#include <catch2/catch.hpp>

using config_test::load;
using config_test::text_of;

namespace {
/// What is said about `yaml`, whose keys are off unless it says otherwise.
std::string wrong(const std::string& yaml, const config::Environment& environment = {{"ROUTER_API_KEY", "k-1234567890"}})
{
    const auto loaded = load(yaml, environment);
    CHECK(!loaded.config);
    return text_of(loaded);
}
} // namespace

TEST_CASE("an unknown key is named with its line, its path and the key that was meant")
{
    CHECK(wrong("server:\n  loops: 1\n  prot: 8000\n") == "portolan.yaml:3:3: server.prot: unknown key; did you mean server.port?\n");
}

TEST_CASE("an unknown key in an entry of a list is named by its index")
{
    CHECK(wrong("providers:\n  - {name: e, type: echo}\n  - name: f\n    type: echo\n    prioritty: 3\n") ==
          "portolan.yaml:5:5: providers[1].prioritty: unknown key; did you mean providers[1].priority?\n");
}

TEST_CASE("all mistakes are reported at once")
{
    CHECK(wrong("server:\n  port: lots\nroutes:\n  - {policy: cheapest}\nzzzzzzzzzzz: 1\n") == "portolan.yaml:2:3: server.port: must be a whole number\n"
                                                                            "portolan.yaml:5:1: zzzzzzzzzzz: unknown key\n"
                                                                            "portolan.yaml:4:5: routes[0].name: a route needs a name\n");
}

TEST_CASE("a wrong type is said with what was found")
{
    CHECK(wrong("server: 5\n") == "portolan.yaml:1:1: server: must be a section, not text or a number\n");
    CHECK(wrong("server: {host: [a]}\n") == "portolan.yaml:1:10: server.host: must be text, not a list\n");
    CHECK(wrong("server: {port: \"8000\"}\n") == "portolan.yaml:1:10: server.port: must be a whole number\n");
    CHECK(wrong("server: {half_close_cancels: perhaps}\n") == "portolan.yaml:1:10: server.half_close_cancels: must be true or false\n");
    CHECK(wrong("compat: {headers: orca}\n") == "portolan.yaml:1:10: compat.headers: must be a list of texts, not text or a number\n");
    CHECK(wrong("routes: {name: x}\n") == "portolan.yaml:1:1: routes: must be a list, not a section\n");
}

TEST_CASE("a number out of its range is refused, also beyond 64 bits")
{
    CHECK(wrong("server: {port: 65536}\n") == "portolan.yaml:1:10: server.port: must be between 0 and 65535\n");
    CHECK(wrong("server: {port: -1}\n") == "portolan.yaml:1:10: server.port: must be between 0 and 65535\n");
    CHECK(wrong("server: {port: 99999999999999999999}\n") == "portolan.yaml:1:10: server.port: must be between 0 and 65535\n");
    CHECK(wrong("providers: [{name: e, type: echo, mock_failure_rate: 1.5}]\n") ==
          "portolan.yaml:1:35: providers[0].mock_failure_rate: must be between 0 and 1\n");
    CHECK(wrong("providers: [{name: e, type: echo, limits: {rpm: 0}}]\n") == "portolan.yaml:1:44: providers[0].limits.rpm: must be 1 or more\n");
}

TEST_CASE("a word that is none of the choices gets a proposal")
{
    CHECK(wrong("auth: {mode: requird}\n") == "portolan.yaml:1:8: auth.mode: must be one of required, optional, off; did you mean required?\n");
}

TEST_CASE("two providers or two routes of one name are refused where the second one stands")
{
    CHECK(wrong("providers:\n  - {name: e, type: echo}\n  - {name: e, type: echo}\n") ==
          "portolan.yaml:3:5: providers[1].name: the name e is taken by a provider\n");
    CHECK(wrong("routes:\n  - {name: r}\n  - {name: r}\n") == "portolan.yaml:3:5: routes[1].name: there is another route called r\n");
}

TEST_CASE("names do not collide between providers, aliases, routes and models")
{
    const std::string two = "providers:\n  - {name: a, type: echo, aliases: [b]}\n  - {name: b, type: echo}\n";
    CHECK(wrong(two) == "portolan.yaml:2:27: providers[0].aliases: the name b is taken by a provider\n");
    CHECK(wrong("providers: [{name: a, type: echo}]\nroutes: [{name: a}]\n") == "portolan.yaml:2:10: routes[0].name: the name a is taken by a provider\n");
    CHECK(wrong("providers: [{name: a, type: echo, models: [m]}]\nroutes: [{name: m}]\n") ==
          "portolan.yaml:2:10: routes[0].name: the name m is taken by a model of provider a\n");
    CHECK(wrong("routes: [{name: r}]\nrouting: {model_aliases: {r: x}}\n") ==
          "portolan.yaml:2:11: routing.model_aliases.r: the name r is taken by a route\n");
    CHECK(wrong("routing: {model_aliases: {auto: x}}\n") == "portolan.yaml:1:11: routing.model_aliases.auto: the name auto is taken by a route\n");
}

TEST_CASE("a key that is written twice is refused")
{
    CHECK(wrong("server: {port: 1}\nserver: {port: 2}\n") == "portolan.yaml:2:1: server: this key is written twice in the same place\n");
}

TEST_CASE("broken YAML is refused with its place")
{
    CHECK(wrong("server: {port: 1\nauth: 2\n").find("portolan.yaml:2:") == 0);
    CHECK(wrong("a: &x [*x]\n").find("portolan.yaml:1:8: this alias lies inside of what it stands for") == 0);
}

TEST_CASE("a text that cannot be read is the only thing reported")
{
    const std::string text = wrong("server: [\n", {});
    CHECK(text.find("portolan.yaml:2:") == 0);
    CHECK(text.find('\n') == text.size() - 1);
}

TEST_CASE("aliases that multiply the text are refused")
{
    std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 9; ++i) {
        const std::string last = "*a" + std::to_string(i - 1);
        yaml += 'a' + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) yaml += (j ? ", " : "") + last;
        yaml += "]\n";
    }
    CHECK(wrong(yaml).find("aliases multiply the text too far") != std::string::npos);
}

TEST_CASE("a file that was named and is not there is a problem")
{
    CHECK(wrong("", {{"PORTOLAN_CONFIG", "not-there.yaml"}, {"ROUTER_API_KEY", "k-1234567890"}}) == "not-there.yaml: this file cannot be read\n");
}

TEST_CASE("a variable without a value and without a default is a problem")
{
    CHECK(wrong("server:\n  host: ${NOT_THERE}\n").find("portolan.yaml:2:9: the environment variable NOT_THERE is not set") == 0);
}

TEST_CASE("a provider needs a name, a type and, if it is OpenAI-compatible, a usable base URL")
{
    CHECK(wrong("providers:\n  - {type: echo}\n") == "portolan.yaml:2:5: providers[0].name: a provider needs a name\n");
    CHECK(wrong("providers:\n  - {name: x}\n").find("portolan.yaml:2:5: providers[0].type: a provider needs a type") == 0);
    CHECK(wrong("providers:\n  - {name: x, type: openai-compatible}\n") == "portolan.yaml:2:5: providers[0].base_url: is needed: where is the API?\n");
    CHECK(wrong("providers:\n  - {name: x, type: openai-compatible, base_url: example.com}\n") ==
          "portolan.yaml:2:40: providers[0].base_url: must begin with http:// or https:// and a host\n");
    CHECK(wrong("providers: [{name: 'a b', type: echo}]\n").find("providers[0].name: may have letters") != std::string::npos);
}

TEST_CASE("a header that would break out of its line is refused")
{
    CHECK(wrong("providers: [{name: x, type: echo, extra_headers: {X-A: \"a\\r\\nB: c\"}}]\n") ==
          "portolan.yaml:1:51: providers[0].extra_headers.X-A: must not contain line breaks or control characters\n");
    CHECK(wrong("providers: [{name: x, type: echo, extra_headers: {'X A': b}}]\n") ==
          "portolan.yaml:1:13: providers[0].extra_headers.X A: is no name for a header\n");
}

TEST_CASE("a model entry is checked like everything else")
{
    CHECK(wrong("providers:\n  - name: x\n    type: echo\n    models:\n      - {id: m, contxt: 5}\n") ==
          "portolan.yaml:5:17: providers[0].models[0].contxt: unknown key; did you mean context?\n");
    CHECK(wrong("providers:\n  - {name: x, type: echo, models: [{context: 5}]}\n") == "portolan.yaml:2:36: providers[0].models: a model needs an id\n");
    CHECK(wrong("providers:\n  - {name: x, type: echo, models: [{id: m, offers: [imagse]}]}\n") ==
          "portolan.yaml:2:36: providers[0].models: unknown feature; did you mean images?\n");
    CHECK(wrong("providers:\n  - {name: x, type: echo, models: some}\n") ==
          "portolan.yaml:2:27: providers[0].models: must be catalog, discover, any or a list of models\n");
}

TEST_CASE("a drop rule that is no regular expression is refused")
{
    CHECK(wrong("routing: {drop_params: [{model: '(', params: [a]}]}\n") ==
          "portolan.yaml:1:25: routing.drop_params[0].model: is no valid regular expression\n");
}

TEST_CASE("a certificate without its key is refused")
{
    CHECK(wrong("server: {tls: {cert_file: c.pem}}\n").find("server.tls: needs cert_file and key_file") != std::string::npos);
}

TEST_CASE("keys of the public surface that this version does not use are warnings")
{
    const auto loaded = load("cache: {ttl_seconds: 5}\n", {{"ROUTER_API_KEY", "k-1234567890"}});
    REQUIRE(loaded.config);
    CHECK(loaded.config->warnings == std::vector<std::string>{"portolan.yaml:1:1: warning: cache: is known but not used by this version"});
}

TEST_CASE("a variable of ours that names no key is a warning with a proposal")
{
    const auto loaded = load("", {{"PORTOLAN_SERVER__PROT", "1"}});
    REQUIRE(loaded.config);
    CHECK(text_of(loaded) == "environment: warning: PORTOLAN_SERVER__PROT names no key; did you mean PORTOLAN_SERVER__PORT?\n");
}

TEST_CASE("errors come before warnings in the report")
{
    CHECK(wrong("cache: {}\nserver: {prot: 1}\n").find("portolan.yaml:2:10: server.prot") == 0);
}
