// What real answers cost by the shipped catalogue, beside what an independent price list says of them. docs/operate/catalog.md has the result;
// PORTOLAN_WRITE_GENERATED=1 writes it anew.
#include "config/catalog.h"
#include "ledger/cost.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

namespace {

using nlohmann::json;

std::string text_of(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// The other list's providers, its way to read their usage, and their names in the catalogue.
struct Seller {
    const char *provider, *flavour;
    std::vector<std::string> names;
};
const std::vector<Seller> sellers{
    {"openai", "chat", {"openai"}},          {"openai", "responses", {"openai"}},      {"openai", "embeddings", {"openai"}},
    {"anthropic", "default", {"anthropic"}}, {"google", "default", {"gemini"}},        {"aws", "default", {"bedrock_converse", "bedrock"}},
    {"azure", "chat", {"azure"}},            {"azure", "embeddings", {"azure"}},       {"mistral", "default", {"mistral"}},
    {"groq", "default", {"groq"}},           {"deepseek", "chat", {"deepseek"}},       {"cerebras", "chat", {"cerebras"}},
    {"fireworks", "chat", {"fireworks_ai"}}, {"x-ai", "chat", {"xai"}},                {"cohere", "default", {"cohere_chat", "cohere"}},
    {"openrouter", "chat", {"openrouter"}},  {"perplexity", "default", {"perplexity"}}, {"moonshotai", "chat", {"moonshot"}},
    {"ovhcloud", "chat", {"ovhcloud"}},      {"zai", "chat", {"zai"}},                 {"minimax", "chat", {"minimax"}}};

const Seller* seller_of(const json& extractor)
{
    for (const auto& s : sellers)
        if (extractor.at("provider_id") == s.provider && extractor.at("api_flavor") == s.flavour) return &s;
    return nullptr;
}

std::int64_t nano_usd(const json& decimal) { return std::llround(std::strtod(decimal.get<std::string>().c_str(), nullptr) * 1e9); }

std::string dollars(double per_million)
{
    std::ostringstream out;
    out << std::round(per_million * 1e4) / 1e4;
    return out.str();
}

struct Row {
    int answers = 0;
    std::string ours, theirs, why;
};

/// One answer that costs another sum here than there.
void explain(Row& row, const config::ModelFacts& facts, const json& usage, const json& extractor)
{
    ++row.answers;
    const auto count = [&](const char* name) { return usage.value(name, std::int64_t{0}); };
    if (count("input_audio_tokens") > 0) {
        row.why = "audio in has a price of its own there, the catalogue has one price of input";
    } else if (count("output_image_tokens") > 0) {
        row.why = "images out have a price of their own there, the catalogue has one price of output";
    } else if (count("cache_read_tokens") + count("cache_write_tokens") == 0 && count("input_tokens") > 0) {
        const auto rate = [&](const char* price, const char* tokens) {
            return count(tokens) ? dollars(static_cast<double>(nano_usd(extractor.at(price))) / 1e3 / static_cast<double>(count(tokens))) : "-";
        };
        row.theirs = rate("input_price", "input_tokens") + " / " + rate("output_price", "output_tokens");
        row.ours = dollars(static_cast<double>(facts.price_input) / 1e6) + " / " + dollars(static_cast<double>(facts.price_output) / 1e6);
        row.why = "the lists differ";
    }
}

std::string with_section(const std::string& text, const std::string& content)
{
    const std::string begin = "<!-- begin price differences -->\n", end = "<!-- end price differences -->";
    const auto from = text.find(begin), to = text.find(end);
    REQUIRE((from != text.npos && to != text.npos));
    return text.substr(0, from + begin.size()) + content + text.substr(to);
}

} // namespace

TEST_CASE("real answers cost what an independent price list says, or the documentation says why not")
{
    const char* set = std::getenv("PORTOLAN_SHARED");
    const auto shared = set ? std::filesystem::path(set) : std::filesystem::current_path() / "../shared";
    const auto usages = json::parse(text_of(shared / "data/catalog/genai-prices.usages.json"), nullptr, false);
    if (!usages.is_array()) {
        WARN("SKIPPED: no usage objects below " << shared);
        return;
    }
    const auto parsed = config::parse_and_check(text_of(std::filesystem::current_path() / "config/catalog.json"));
    REQUIRE(parsed.catalog);
    int equal = 0, differ = 0, unknown = 0;
    std::map<std::pair<std::string, std::string>, Row> rows;
    for (const auto& entry : usages)
        for (const auto& reading : entry.at("extracted"))
            for (const auto& extractor : reading.at("extractors")) {
                const auto* seller = seller_of(extractor);
                if (!seller || !extractor.contains("input_price")) continue;
                const auto& body = entry.at("body");
                const std::string model = entry.contains("model") ? entry.at("model") : body.contains("model") ? body.at("model") : body.value("modelVersion", json(""));
                const auto* known = parsed.catalog->find(seller->names, model);
                const auto& u = reading.at("usage");
                const auto count = [&](const char* name) { return u.value(name, std::int64_t{0}); };
                const auto cost = known ? ledger::cost_of(known->facts, {count("input_tokens"), count("cache_read_tokens"), count("cache_write_tokens"), count("output_tokens")}) : -1;
                if (cost < 0) {
                    ++unknown;
                    continue;
                }
                const auto theirs = nano_usd(extractor.at("input_price")) + nano_usd(extractor.at("output_price"));
                if (std::abs(cost - theirs) <= 1) { // rounded down once here, for each part there
                    ++equal;
                    continue;
                }
                ++differ;
                auto& row = rows[{seller->provider, model}];
                explain(row, known->facts, u, extractor);
                INFO(seller->provider << " " << model << " " << u.dump() << ": " << cost << " instead of " << theirs << " nano-USD");
                CHECK_FALSE(row.why.empty());
            }
    std::cout << "prices of real answers: " << equal << " equal, " << differ << " differ, " << unknown << " of models that the catalogue does not have\n";
    CHECK(equal >= 1100);
    std::string table = std::to_string(equal) + " answers cost the same, " + std::to_string(differ) + " do not, and " + std::to_string(unknown) +
                        " are of models that the catalogue does not have.\n\n| provider | model | answers | ours, in / out | theirs | why |\n|---|---|---|---|---|---|\n";
    for (const auto& [who, row] : rows)
        table += "| " + who.first + " | `" + who.second + "` | " + std::to_string(row.answers) + " | " + row.ours + " | " + row.theirs + " | " + row.why + " |\n";
    const auto file = std::filesystem::current_path() / "docs/operate/catalog.md";
    const auto text = text_of(file), wanted = with_section(text, table);
    if (std::getenv("PORTOLAN_WRITE_GENERATED")) std::ofstream(file, std::ios::binary) << wanted;
    INFO(file << " is not up to date: run this test with PORTOLAN_WRITE_GENERATED=1");
    CHECK((std::getenv("PORTOLAN_WRITE_GENERATED") || text == wanted));
}
