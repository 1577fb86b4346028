// Real usage objects of providers through the plugins that read them, held to the counts that an independent reader gives.
#include "exchange.h"
#include "generated.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>

using abi::Asked, abi::Exchange, abi::json;
using namespace nlohmann::literals;

namespace {

/// A provider's whole answer around a usage object.
std::string choices(const json& body) { return R"({"choices":[],"usage":)" + body.at("usage").dump() + "}"; }
std::string list(const json& body) { return R"({"object":"list","data":[],"usage":)" + body.at("usage").dump() + "}"; }
std::string responses(const json& body) { return R"({"status":"completed","output":[],"usage":)" + body.at("usage").dump() + "}"; }
std::string message(const json& body)
{
    return R"({"type":"message","role":"assistant","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":)" + body.at("usage").dump() + "}";
}
std::string candidates(const json& body)
{
    return R"({"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":)" + body.at("usageMetadata").dump() + "}";
}
std::string converse(const json& body)
{
    return R"({"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","usage":)" + body.at("usage").dump() + "}";
}
std::string cohere(const json& body) { return R"({"finish_reason":"COMPLETE","message":{},"usage":)" + body.at("usage").dump() + "}"; }
std::string cohere_vectors(const json& body) { return R"({"embeddings":{"float":[[0.5]]},"meta":)" + body.at("meta").dump() + "}"; }

/// One way to read usage objects: whose reading is the measure, which plugin reads them here, and the answer that they come in.
struct Form {
    const char *provider, *flavour, *plugin, *component;
    std::string (*reply)(const json& body);
    const char* op = "chat";
};
const Form forms[] = {
    {"openai", "chat", "openai_compatible", "openai-compatible", choices},
    {"openai", "embeddings", "openai_compatible", "openai-compatible", list, "embeddings"},
    {"azure", "chat", "azure_openai", "azure-openai", choices},
    {"azure", "embeddings", "azure_openai", "azure-openai", list, "embeddings"},
    {"groq", "default", "openai_compatible", "openai-compatible", choices},
    {"deepseek", "chat", "openai_compatible", "openai-compatible", choices},
    {"cerebras", "chat", "openai_compatible", "openai-compatible", choices},
    {"fireworks", "chat", "openai_compatible", "openai-compatible", choices},
    {"openrouter", "chat", "openai_compatible", "openai-compatible", choices},
    {"x-ai", "chat", "openai_compatible", "openai-compatible", choices},
    {"moonshotai", "chat", "openai_compatible", "openai-compatible", choices},
    {"minimax", "chat", "openai_compatible", "openai-compatible", choices},
    {"perplexity", "default", "openai_compatible", "openai-compatible", choices},
    {"zai", "chat", "openai_compatible", "openai-compatible", choices},
    {"ovhcloud", "chat", "openai_compatible", "openai-compatible", choices},
    {"huggingface_together", "chat", "openai_compatible", "openai-compatible", choices},
    {"mistral", "default", "mistral", "mistral", choices},
    {"openai", "responses", "openai_responses", "openai-responses", responses},
    {"anthropic", "default", "anthropic", "anthropic", message},
    {"google", "default", "gemini", "gemini", candidates},
    {"google", "default", "gemini", "vertex", candidates},
    {"aws", "default", "bedrock", "bedrock", converse},
    {"cohere", "default", "cohere", "cohere", cohere},
    {"cohere", "embeddings", "cohere", "cohere", cohere_vectors, "embeddings"},
};

/// Counts of the measure and ours. Those that only one of the two knows (text, video, tools, images out) are parts of the totals.
constexpr std::pair<const char*, const char*> counts[] = {{"input_tokens", "input"}, {"output_tokens", "output"}, {"cache_read_tokens", "cache_read"},
                                                          {"cache_write_tokens", "cache_write"}, {"output_reasoning_tokens", "reasoning"},
                                                          {"input_audio_tokens", "audio_input"}, {"input_image_tokens", "image_input"},
                                                          {"output_audio_tokens", "audio_output"}, {"web_searches", "searches"}};

/// Names of the counts that differ.
std::set<std::string> differences(const json& expected, const json& usage)
{
    std::set<std::string> out;
    for (const auto& [theirs, ours] : counts)
        if (expected.value(theirs, std::int64_t{0}) != std::max<std::int64_t>(0, usage.value(ours, std::int64_t{0}))) out.insert(ours);
    return out;
}

/// Why they may differ; empty: they must not. Totals never differ for want of knowledge, parts of them may.
std::string why(const Form& form, const json& body, const json& expected, const json& usage, const std::set<std::string>& differ)
{
    const auto count = [&](const char* pointer) { return body.value(json::json_pointer(pointer), std::int64_t{0}); };
    const auto input = count("/usage/prompt_tokens"), output = count("/usage/completion_tokens"), reasoning = count("/usage/completion_tokens_details/reasoning_tokens");
    if (differ == std::set<std::string>{"output"} && reasoning > 0) {
        const auto total = count("/usage/total_tokens");
        if (total == input + output + reasoning && std::string_view(form.provider) != "x-ai") return "xAI's, whose total says that reasoning comes on top of the output";
        if (total == input + output && std::string_view(form.provider) == "x-ai") return "not xAI's: the total says that reasoning is inside of the output";
    }
    if (differ == std::set<std::string>{"cache_read"} && expected.value("cache_read_tokens", 0) > input && usage.value("cache_read", 0) == input)
        return "more cached than input tokens count as all of them";
    std::string parts;
    for (const auto& name : differ) {
        const auto* theirs = std::find_if(std::begin(counts), std::end(counts), [&](const auto& c) { return c.second == name; })->first;
        if (name == "input" || name == "output" || expected.contains(theirs)) return "";
        parts += (parts.empty() ? "" : ", ") + name;
    }
    return "that reader does not know " + parts;
}

bool is_for(const Form& form, const json& reading)
{
    for (const auto& e : reading.at("extractors"))
        if (e.at("provider_id") == form.provider && e.at("api_flavor") == form.flavour) return true;
    return false;
}

json usage_of(const abi::Instance& provider, const Form& form, const json& body)
{
    const Asked asked(json{{"op", form.op}, {"json", R"({"messages":[{"role":"user","content":"x"}],"input":"x"})"}});
    Exchange x(provider, asked);
    x.request();
    REQUIRE(x.status >= 0);
    x.reply(json{{"kind", "whole"}, {"body", form.reply(body)}}, 0);
    json usage = json::object();
    for (const auto& e : x.said.events) {
        if (e.at("kind") == "usage") usage = e.at("usage");
        if (e.at("kind") != "result" || !usage.empty()) continue;
        const auto result = json::parse(e.at("data").get<std::string>()); // where the host reads for itself
        if (result.contains("usage")) usage["input"] = result.value("/usage/prompt_tokens"_json_pointer, -1);
    }
    return usage;
}

} // namespace

TEST_CASE("real usage objects are counted as the reference counts them")
{
    const char* shared = std::getenv("PORTOLAN_SHARED");
    const auto file = std::filesystem::path(shared ? shared : "../shared") / "data/catalog/genai-prices.usages.json";
    if (!std::filesystem::exists(file)) {
        WARN("SKIPPED: no usage objects at " << file);
        return;
    }
    const json all = abi::read_json(file);
    std::string table = "| component | as the reader of | equal | differ | why |\n|---|---|---|---|---|\n";
    for (const auto& form : forms) {
        const abi::PluginFile plugin(abi::plugins_folder() / (std::string(form.plugin) + ".so"));
        const abi::Instance provider(plugin, form.component, {{"base_url", "http://127.0.0.1:1"}});
        int equal = 0;
        std::map<std::string, int> other;
        for (const auto& entry : all)
            for (const auto& reading : entry.at("extracted")) {
                if (!is_for(form, reading)) continue;
                if (std::string(form.op) == "embeddings" && entry.at("body").value("/usage/completion_tokens"_json_pointer, 0) > 0) continue; // a conversation's
                const auto& expected = reading.at("usage");
                const auto usage = usage_of(provider, form, entry.at("body"));
                const auto differ = differences(expected, usage);
                if (differ.empty()) {
                    ++equal;
                    continue;
                }
                const auto reason = why(form, entry.at("body"), expected, usage, differ);
                INFO(form.component << " " << entry.at("body").dump() << " as " << usage.dump() << " instead of " << expected.dump());
                CHECK_FALSE(reason.empty());
                ++other[reason];
            }
        int differ = 0;
        std::string reasons;
        for (const auto& [reason, n] : other) differ += n, reasons += (reasons.empty() ? "" : "; ") + std::to_string(n) + ": " + reason;
        table += "| `" + std::string(form.component) + "` | " + form.provider + ", " + form.flavour + " | " + std::to_string(equal) + " | " + std::to_string(differ) + " | " + reasons + " |\n";
        CHECK(equal >= 3);
    }
    std::cout << "usage objects of real answers:\n" << table;
    abi::check_section("docs/plugins/provider.md", "usage", table);
}

TEST_CASE("usage counts wherever it stands at the top level, and nowhere else")
{
    const abi::PluginFile plugin(abi::plugins_folder() / "openai_compatible.so");
    const abi::Instance provider(plugin, "openai-compatible", {{"base_url", "http://127.0.0.1:1"}});
    const auto events_of = [&](const std::string& answer) {
        const Asked asked(json{{"op", "chat"}, {"json", R"({"messages":[{"role":"user","content":"x"}]})"}});
        Exchange x(provider, asked);
        x.request();
        x.reply(json{{"kind", "whole"}, {"body", answer}}, 0);
        std::string counts;
        for (const auto& e : x.said.events)
            if (e.at("kind") == "usage") counts += std::to_string(e.at("usage").value("input", -1)) + '/' + std::to_string(e.at("usage").value("output", -1)) + ' ';
        return counts;
    };
    const std::string usage = R"("usage":{"prompt_tokens":7,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":2}})", text = R"("choices":[{"message":{"content":"x"}}])";
    for (const std::string& answer : std::initializer_list<std::string>{
             "{" + text + "," + usage + "}",
             "{" + usage + "," + text + "}",
             "{" + text + "," + usage + R"(,"system_fingerprint":"f","service_tier":null,"created":1})",
             "{" + text + "," + usage + R"(,"system_fingerprint":"}{"})",
             "{" + text + "," + usage + R"(,"x":{"usage":1}})",
             "{ " + text + " ,\n" + R"("usage" : {"prompt_tokens" : 7, "completion_tokens" : 5} })" + " \n",
             R"({"choices":[{"message":{"content":"the \"usage\": {\"prompt_tokens\":1} of it"}}],)" + usage + "}",
             R"({"choices":[{"message":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}],)" + usage + "}",
             R"({"object":"usage",)" + text + "," + usage + "}",
         }) {
        INFO(answer);
        CHECK(events_of(answer) == "7/5 ");
    }
    for (const std::string& answer : std::initializer_list<std::string>{
             "{" + text + R"(,"usage":null})",
             "{" + text + R"(,"usage":null,"created":1})",
             "{" + text + R"(,"x_groq":{"usage":{"prompt_tokens":1}}})",
             R"({"choices":[{"message":{"content":"x","usage":{"prompt_tokens":1}}}]})",
             "{" + text + R"(,"x\"usage":{"prompt_tokens":1}})",
             "{" + text + R"(,"usage")",
             "{" + text + R"(,"usage":)",
             "{" + text + R"(,"usage":{"prompt_tokens":1)",
             "{" + text + R"(,"usage":{"prompt)",
         }) {
        INFO(answer);
        CHECK(events_of(answer).empty());
    }
}
