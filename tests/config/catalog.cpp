// The catalogue: made out of a price list full of quirks, and read again.
#include "config/catalog.h"
#include "config/catalog_build.h"
#include "files.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <regex>

using namespace config_test;

namespace {
/// The catalogue of a price list with these entries.
std::shared_ptr<const config::ModelCatalog> built(const std::string& entries, const std::string& today = "2026-07-24")
{
    const auto result = config::build_catalog("{" + entries + "}", today);
    REQUIRE(result);
    const auto read = config::parse_and_check(result->text);
    INFO(read.message);
    REQUIRE(read.catalog);
    return read.catalog;
}

config::ModelFacts fact(const std::string& entry, const std::string& provider = "p", const std::string& id = "m")
{
    const auto catalog = built(entry);
    const auto* found = catalog->find({provider}, id);
    REQUIRE(found);
    return found->facts;
}

const std::string plain = R"("litellm_provider":"p","mode":"chat")";
std::string entry(const std::string& more) { return "\"p/m\":{" + plain + "," + more + "}"; }

std::shared_ptr<const config::ModelCatalog> shipped()
{
    return config::parse_and_check(config::read_file(shipped_dir() + "/catalog.json").value_or("")).catalog;
}
} // namespace

TEST_CASE("the shipped catalogue has over a thousand chat models")
{
    const auto catalog = shipped();
    REQUIRE(catalog);
    CHECK(catalog->size() >= 1000);
    CHECK(catalog->dated() == "2026-07-24");
}

TEST_CASE("the shipped catalogue is what the price list makes today")
{
    const auto list = shared_file("data/catalog/litellm.model_prices_and_context_window.json");
    if (!list) {
        WARN("skipped: the shared price list is not there");
        return;
    }
    const auto result = config::build_catalog(*list, "2026-07-24");
    REQUIRE(result);
    CHECK(result->text == config::read_file(shipped_dir() + "/catalog.json"));
    CHECK(result->report.find("price refused, out of scale: wandb/openai/gpt-oss-120b") != std::string::npos);
}

TEST_CASE("prices are exact, in pico-USD for a token")
{
    const auto m = fact(entry(R"("input_cost_per_token":1.25e-06,"output_cost_per_token":1e-05,"cache_read_input_token_cost":2.8e-08,"cache_creation_input_token_cost":3.75e-6)"));
    CHECK(m.price_input == 1'250'000);
    CHECK(m.price_output == 10'000'000);
    CHECK(m.price_cache_read == 28'000);
    CHECK(m.price_cache_write == 3'750'000);
}

TEST_CASE("no price is not the price of nothing, and the price of nothing is not yet free")
{
    CHECK(fact(entry(R"("max_tokens":5)")).price_input == -1);
    const auto zero = fact(entry(R"("input_cost_per_token":0,"output_cost_per_token":0.0)"));
    CHECK(zero.price_input == 0);
    CHECK(!zero.free);
    CHECK(fact(R"("openrouter/x/y:free":{"litellm_provider":"openrouter","mode":"chat","input_cost_per_token":0,"output_cost_per_token":0})", "openrouter", "x/y:free").free);
    CHECK(fact(R"("openrouter/openrouter/auto":{"litellm_provider":"openrouter","mode":"chat","input_cost_per_token":0,"output_cost_per_token":0})", "openrouter", "openrouter/auto").price_input == -1);
}

TEST_CASE("floats, texts and prose where whole numbers are meant")
{
    CHECK(fact(entry(R"("max_input_tokens":2000000.0)")).context_tokens == 2'000'000);
    CHECK(fact(entry(R"("max_input_tokens":"8192")")).context_tokens == 8192);
    CHECK(fact(entry(R"("max_input_tokens":"as many as fit")")).context_tokens == -1);
    CHECK(fact(entry(R"("max_input_tokens":-1)")).context_tokens == -1);
    CHECK(fact(entry(R"("max_tokens":4096)")).max_output_tokens == 4096);
    CHECK(fact(entry(R"("max_tokens":4096,"max_output_tokens":100)")).max_output_tokens == 100);
    CHECK(fact(entry(R"("input_cost_per_token":"1e-06")")).price_input == 1'000'000);
}

TEST_CASE("a price out of scale is refused, and all prices of the model with it")
{
    const auto m = fact(entry(R"("input_cost_per_token":0.015,"output_cost_per_token":1e-6)"));
    CHECK(m.price_input == -1);
    CHECK(m.price_output == -1);
    CHECK(fact(entry(R"("input_cost_per_token":0.00015,"output_cost_per_token":0.0006)")).price_output == 600'000'000);
}

TEST_CASE("entries that are no models are left out")
{
    const auto catalog = built(entry("\"x\":1") + R"(,"sample_spec":{"mode":"one of: chat","litellm_provider":"one of"},"fallback_generalizations":[],
        "fireworks-ai-4.1b-to-16b":{"litellm_provider":"fireworks_ai","input_cost_per_token":2e-7},"e":{"litellm_provider":"p","mode":"video_generation"},
        "ft:gpt-4o":{"litellm_provider":"openai","mode":"chat"},"together-ai-4.1b-8b":{"litellm_provider":"together_ai","mode":"chat"}, "n":null)");
    CHECK(catalog->size() == 1);
}

TEST_CASE("a model that is not for chat says what it is for")
{
    const auto catalog = built(entry("\"x\":1") + R"(,"e":{"litellm_provider":"p","mode":"embedding"},"256-x-256/i":{"litellm_provider":"p","mode":"image_generation"},
        "i":{"litellm_provider":"p","mode":"image_generation"},"s":{"litellm_provider":"p","mode":"audio_speech"})");
    const auto is_for = [&](const char* id) { return catalog->find({"p"}, id)->facts.operations; };
    CHECK(is_for("e") == core::bit_of(core::Op::Embeddings));
    CHECK(is_for("i") == (core::bit_of(core::Op::ImageGenerate) | core::bit_of(core::Op::ImageEdit)));
    CHECK(is_for("s") == core::bit_of(core::Op::Speech));
    CHECK(catalog->find({"p"}, "256-x-256/i") == nullptr);
}

TEST_CASE("tiers come from both spellings; what a tier does not say stays as it was below")
{
    const auto keys = fact(entry(R"("input_cost_per_token":1e-6,"output_cost_per_token":2e-6,"cache_read_input_token_cost":1e-7,
        "input_cost_per_token_above_200k_tokens":2e-6,"output_cost_per_token_above_200k_tokens":3e-6,"input_cost_per_token_above_200k_tokens_priority":9e-6,
        "input_cost_per_token_above_128k_tokens":1.5e-6,"cache_creation_input_token_cost_above_1hr":6e-6,"cache_creation_input_token_cost_above_1hr_above_200k_tokens":9e-6)"));
    REQUIRE(keys.tiers.size() == 2);
    CHECK(keys.tiers[0].above_tokens == 128'000);
    CHECK(keys.tiers[0].price_input == 1'500'000);
    CHECK(keys.tiers[0].price_output == 2'000'000);
    CHECK(keys.tiers[1].above_tokens == 200'000);
    CHECK(keys.tiers[1].price_input == 2'000'000);
    CHECK(keys.tiers[1].price_cache_read == 100'000);
    CHECK(keys.price_cache_write == -1);
    const auto ranges = fact(entry(R"("tiered_pricing":[{"range":[0,256000.0],"input_cost_per_token":5e-8,"output_cost_per_token":4e-7},
        {"range":[256000.0,1000000.0],"input_cost_per_token":2.5e-7,"output_cost_per_token":2e-6}])"));
    CHECK(ranges.price_input == 50'000);
    REQUIRE(ranges.tiers.size() == 1);
    CHECK(ranges.tiers[0].above_tokens == 256'000);
    CHECK(ranges.tiers[0].price_output == 2'000'000);
}

TEST_CASE("models that were switched off are left out, those that will be are marked")
{
    const std::string two = R"("a":{"litellm_provider":"p","mode":"chat","deprecation_date":"2026-07-24"},"b":{"litellm_provider":"p","mode":"chat","deprecation_date":"2026-10-15"})";
    const auto catalog = built(two);
    CHECK(catalog->size() == 1);
    CHECK(catalog->models({"p"}, "2026-10-14").size() == 1);
    CHECK(catalog->models({"p"}, "2026-10-15").empty());
    CHECK(catalog->models({"p"}, "").size() == 1);
}

TEST_CASE("names that differ by case or by the provider's name in front are one model; the first one stays")
{
    const auto catalog = built(R"("p/Big/Model":{"litellm_provider":"p","mode":"chat","max_input_tokens":1},"p/big/model":{"litellm_provider":"p","mode":"chat","max_input_tokens":2},
        "Big/Model":{"litellm_provider":"p","mode":"chat","max_input_tokens":3})");
    CHECK(catalog->size() == 1);
    CHECK(catalog->find({"p"}, "Big/Model")->facts.context_tokens == 1);
}

TEST_CASE("features are offered, lacking or not known")
{
    const auto m = fact(entry(R"("supports_tool_choice":true,"supports_vision":false,"supports_response_schema":true)"));
    CHECK(m.features == (core::Tools | core::JsonObject | core::JsonSchema));
    CHECK(m.features_known == (core::Tools | core::JsonObject | core::JsonSchema | core::Images));
    CHECK(fact(entry(R"("supports_json_schema":true)")).features == (core::JsonObject | core::JsonSchema));
    CHECK(fact(entry(R"("supported_modalities":["text","image"])")).features == core::Images);
    CHECK(fact(entry(R"("supported_modalities":["text"])")).features_known == (core::Images | core::AudioIn));
}

TEST_CASE("models of the Responses API only are known but not offered for chat")
{
    const auto catalog = built(R"("r":{"litellm_provider":"p","mode":"responses","input_cost_per_token":1e-6},"c":{"litellm_provider":"p","mode":"chat"})");
    CHECK(catalog->models({"p"}, "").size() == 1);
    CHECK(catalog->find({"p"}, "r") != nullptr);
}

TEST_CASE("the first provider of the list that has a model is taken")
{
    const auto catalog = built(R"("a/m":{"litellm_provider":"a","mode":"chat","max_tokens":1},"b/m":{"litellm_provider":"b","mode":"chat","max_tokens":2})");
    CHECK(catalog->find({"b", "a"}, "m")->facts.max_output_tokens == 2);
    CHECK(catalog->find({"c"}, "m") == nullptr);
}

TEST_CASE("what is no price list, and a day that is none, are faults")
{
    CHECK(!config::build_catalog("[]", "2026-07-24"));
    CHECK(!config::build_catalog("{}", "2026-07-24"));
    CHECK(!config::build_catalog("nonsense", "2026-07-24"));
    CHECK(!config::build_catalog("{" + entry("\"x\":1") + "}", "yesterday"));
}

TEST_CASE("a catalogue that is damaged is refused with the model at fault")
{
    const auto with = [](const std::string& model) { return config::parse_and_check(R"({"portolan_catalog":1,"models":[)" + model + "]}"); };
    CHECK(with(R"({"provider":"p","id":"m"})").catalog);
    CHECK(with(R"({"provider":"p","id":"m","price":[1,2,3]})").message == "model 0 (m): prices are no list of four");
    CHECK(with(R"({"provider":"p","id":"m","price":[1,2,3,-4]})").message == "model 0 (m): price is no whole number in range");
    CHECK(with(R"({"provider":"p","id":"m","price":[1,2,3,9000000000]})").message == "model 0 (m): price is no whole number in range");
    CHECK(with(R"({"provider":"p","id":"m"},{"provider":"p","id":"m"})").message == "model 1 (m): is there twice");
    CHECK(with(R"({"provider":"p","id":"m","offers":["flying"]})").message == "model 0 (m): offers holds a feature that is not known");
    CHECK(with(R"({"provider":"p","id":"m","tiers":[[5,1,1,1,1],[5,1,1,1,1]]})").message == "model 0 (m): tiers do not rise");
    CHECK(with(R"({"id":"m"})").message == "model 0 (m): has no provider or no id");
    CHECK(with("7").message == "model 0: is no object");
    CHECK(with("").message == "the catalogue has no models");
    CHECK(config::parse_and_check("{}").message == "this is no catalogue of version 1");
    CHECK(config::parse_and_check("<html>").message == "the catalogue is no JSON object");
}

TEST_CASE("a catalogue that is named and damaged is an error, an absent shipped one a warning")
{
    const Folder folder;
    folder.write("own.json", "{}");
    CHECK(!load("", {{"GROQ_API_KEY", "12345678"}, {"PORTOLAN_CATALOG__FILE", "own.json"}}, folder).config);
    config::Sources sources;
    sources.cwd = sources.shipped_config_dir = folder.path;
    sources.environment = {{"GROQ_API_KEY", "12345678"}};
    CHECK(config::load(sources).config);
}

TEST_CASE("rules for refused parameters match the right models")
{
    const auto loaded = load("", {{"GROQ_API_KEY", "12345678"}});
    REQUIRE(loaded.config);
    const auto dropped = [&](const std::string& model) {
        bool out = false;
        for (const auto& rule : loaded.config->drop_rules)
            for (const auto& param : rule.params)
                if (param == "temperature") out |= std::regex_search(model, std::regex(rule.model_pattern, std::regex::ECMAScript | std::regex::icase));
        return out;
    };
    for (const char* model : {"claude-opus-4-1-20250805", "anthropic/claude-opus-4.6", "claude-opus-25", "claude-opus-4", "anthropic.claude-opus-4-6-v1:0", "gpt-5", "gpt-5.2-mini",
                              "openai/gpt-5-mini", "o1", "o3-mini", "openai/o4-mini-2025-04-16", "deepseek-reasoner", "deepseek-ai/DeepSeek-R1", "deepseek-r2", "deepseek-r1-0528"}) {
        INFO(model);
        CHECK(dropped(model));
    }
    for (const char* model : {"claude-3-opus-20240229", "claude-opus-3", "claude-opus-2", "claude-sonnet-4-5", "gpt-4o", "gpt-50", "gpt-4.1", "foo1", "co3-mini", "deepseek-chat",
                              "deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "llama-o1x"}) {
        INFO(model);
        CHECK(!dropped(model));
    }
}

TEST_CASE("rules of the file are added to the shipped ones")
{
    const auto shipped = load("", {{"GROQ_API_KEY", "12345678"}});
    const auto loaded = load("auth: {mode: off}\nrouting: {drop_params: [{model: ^mine, params: [seed], unless_value_is_one: true}]}\n");
    REQUIRE(loaded.config);
    REQUIRE(loaded.config->drop_rules.size() == shipped.config->drop_rules.size() + 1);
    CHECK(loaded.config->drop_rules.back().model_pattern == "^mine");
    CHECK(loaded.config->drop_rules.back().unless_value_is_one);
}
