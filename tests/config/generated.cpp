// What is written out of the table of keys is as it stands in the tree; and the example holds. PORTOLAN_WRITE_GENERATED=1 writes it anew.
#include "files.h"
#include "config/keys.h"
#include "config/model_entries.h"
#include "config/presets.h"
#include "core/text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace config_test;

namespace {
std::string with_section(const std::string& text, const std::string& name, const std::string& content)
{
    const std::string begin = "<!-- begin " + name + " -->\n", end = "<!-- end " + name + " -->";
    const auto from = text.find(begin), to = text.find(end);
    if (from == text.npos || to == text.npos) return {};
    return text.substr(0, from + begin.size()) + content + text.substr(to);
}

std::string preset_table()
{
    std::vector<config::Problem> problems;
    std::string out = "| preset | provider | other names | variables | models |\n|---|---|---|---|---|\n";
    for (const auto& p : config::read_presets(shipped_dir(), problems)) {
        const auto list = [](const std::vector<std::string>& names) {
            std::string text;
            for (const auto& name : names) (text += text.empty() ? "`" : ", `") += name + '`';
            return text;
        };
        auto variables = p.key_env;
        variables.insert(variables.end(), p.url_env.begin(), p.url_env.end());
        for (const auto& [setting, names] : p.settings_env)
            for (const auto& name : core::split(names, ' ')) variables.push_back(name);
        out += "| `" + p.name + "` | " + (p.docs.empty() ? p.title : "[" + p.title + "](" + p.docs + ")") + " | " + list(p.aliases) + " | " + list(variables) + " | " +
               (p.component == "echo" ? "`echo`" : p.models) + " |\n";
    }
    return out;
}

/// Compares a file of the tree with what it should be, or writes it.
void same(const std::string& file, const std::string& wanted)
{
    if (std::getenv("PORTOLAN_WRITE_GENERATED")) std::ofstream(file, std::ios::binary) << wanted;
    INFO(file << " is not up to date: run this test with PORTOLAN_WRITE_GENERATED=1");
    CHECK((config::read_file(file).value_or("") == wanted));
}
} // namespace

TEST_CASE("the JSON Schema is the one that the table of keys gives")
{
    same(shipped_dir() + "/portolan.schema.json", config::schema_json());
}

TEST_CASE("the tables in the documentation are those that the table of keys gives")
{
    const std::string file = source_dir() + "/docs/operate/configuration.md";
    std::string text = config::read_file(file).value_or("");
    text = with_section(text, "keys", config::key_table_markdown());
    text = with_section(text, "models", config::model_table_markdown());
    text = with_section(text, "presets", preset_table());
    REQUIRE(!text.empty());
    same(file, text);
}

TEST_CASE("every key that the loader walks is in the schema and in the documentation")
{
    const auto schema = nlohmann::json::parse(config::schema_json());
    const std::string table = config::key_table_markdown();
    const auto loaded = load("providers: [{name: e, type: echo}]\nroutes: [{name: r}]\nrouting: {drop_params: [{model: x, params: [y]}]}\nauth: {keys: [{name: a, key: k-123456}]}\n");
    REQUIRE(loaded.config);
    std::size_t walked = 0;
    for (const auto& e : loaded.config->effective) {
        if (e.path.find("[1]") != std::string::npos) continue;
        INFO(e.path);
        std::string general = e.path;
        for (auto at = general.find("[0]"); at != general.npos; at = general.find("[0]")) general.replace(at, 3, "[]");
        CHECK(table.find("| `" + general + "` |") != std::string::npos);
        const nlohmann::json* at = &schema;
        std::string_view rest = e.path;
        while (at && !rest.empty()) {
            const auto dot = rest.find('.');
            std::string name(rest.substr(0, dot));
            rest = dot == rest.npos ? std::string_view() : rest.substr(dot + 1);
            const bool item = name.ends_with("[0]");
            if (item) name.resize(name.size() - 3);
            const bool there = at->contains("properties") && (*at)["properties"].contains(name);
            at = there ? &(*at)["properties"][name] : nullptr;
            if (at && item) at = &(*at)["items"];
        }
        CHECK(at != nullptr);
        ++walked;
    }
    CHECK(walked > 100);
}

TEST_CASE("the example is a good configuration, and everything in it is used")
{
    const auto text = config::read_file(shipped_dir() + "/portolan.example.yaml");
    REQUIRE(text);
    const auto loaded = load(*text, {{"ROUTER_API_KEY", "k-1234567890"}, {"GROQ_API_KEY", "12345678"}, {"OPENAI_API_KEY", "12345678"}, {"MY_SERVER_KEY", "12345678"},
                                     {"OPENROUTER_API_KEY", "12345678"}, {"OPENROUTER_API_KEY_2", "23456789"}});
    CHECK(text_of(loaded).empty());
    REQUIRE(loaded.config);
    CHECK(loaded.config->providers.size() == 4);
    CHECK(provider(loaded, "shared").accounts.size() == 2);
    CHECK(provider(loaded, "openai").limits.daily_nusd == 20'000'000'000);
    CHECK(model(provider(loaded, "my-server"), "house-model").free);
    CHECK(model(provider(loaded, "my-server"), "house-model").price_input == 0);
}

TEST_CASE("the example is valid by the schema")
{
    const std::string dir = shipped_dir();
    if (std::system("python3 -c 'import jsonschema, yaml' 2>/dev/null") != 0) {
        WARN("skipped: python3 with jsonschema and yaml is not there");
        return;
    }
    const std::string check = "import json, sys, yaml, jsonschema; s = json.load(open(sys.argv[1])); jsonschema.Draft202012Validator.check_schema(s); "
                              "v = jsonschema.Draft202012Validator(s); e = list(v.iter_errors(yaml.safe_load(open(sys.argv[2])))); print(e) if e else None; "
                              "sys.exit(1 if e else 0 if list(v.iter_errors({\"server\": {\"prot\": 1}})) else 2)";
    CHECK(std::system(("python3 -c '" + check + "' '" + dir + "/portolan.schema.json' '" + dir + "/portolan.example.yaml'").c_str()) == 0);
}
