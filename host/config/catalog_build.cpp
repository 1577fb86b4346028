#include "config/catalog_build.h"

#include "config/catalog.h"
#include "core/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

namespace config {

namespace {
using Json = nlohmann::json;
using Ordered = nlohmann::ordered_json;

/// The dearest genuine price is 0.00015 for a token of input (o1-pro) and 0.0006 for one of output; prices above these limits were written
/// per thousand or per million tokens by mistake.
constexpr double dearest_input = 0.0002, dearest_output = 0.001;

/// A number, also where it is written as text ("1e-06") or as a float (2000000.0); prose is none.
std::optional<double> number(const Json& entry, const std::string& name)
{
    const auto found = entry.find(name);
    if (found == entry.end()) return std::nullopt;
    double value = 0;
    if (found->is_number()) {
        value = found->get<double>();
    } else if (found->is_string()) {
        const auto& text = found->get_ref<const std::string&>();
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    } else {
        return std::nullopt;
    }
    if (!std::isfinite(value) || value < 0) return std::nullopt;
    return value;
}

std::int64_t tokens(const Json& entry, const char* name)
{
    const auto value = number(entry, name);
    return value && *value >= 1 && *value <= 1e9 ? std::llround(*value) : -1;
}

bool is_true(const Json& entry, const char* name)
{
    const auto found = entry.find(name);
    return found != entry.end() && found->is_boolean() && found->get<bool>();
}

bool is_false(const Json& entry, const char* name)
{
    const auto found = entry.find(name);
    return found != entry.end() && found->is_boolean() && !found->get<bool>();
}

bool lists(const Json& entry, const char* name, std::string_view word)
{
    const auto found = entry.find(name);
    return found != entry.end() && found->is_array() && std::find(found->begin(), found->end(), word) != found->end();
}

bool has_list(const Json& entry, const char* name)
{
    const auto found = entry.find(name);
    return found != entry.end() && found->is_array();
}

struct Prices {
    std::array<std::int64_t, 4> value{-1, -1, -1, -1}; ///< input, output, cache read, cache write
    bool refused = false;

    void set(std::size_t at, std::optional<double> usd_per_token)
    {
        if (!usd_per_token) return;
        if (*usd_per_token > (at == 1 ? dearest_output : dearest_input)) {
            refused = true;
            return;
        }
        value[at] = std::llround(*usd_per_token * 1e12);
    }
};

constexpr std::array<const char*, 4> price_keys{"input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
                                                "cache_creation_input_token_cost"};

struct Model {
    std::string provider, id;
    Prices prices;
    std::map<std::int64_t, Prices> tiers;
    core::Features offers = 0, lacks = 0;
    std::int64_t context = -1, max_output = -1;
    std::string retires;
    std::string mode;
    bool free = false;
};

/// The price list's modes and ours; modes that are not here are nothing that a client can ask for.
constexpr std::pair<std::string_view, std::string_view> modes[] = {{"chat", "chat"}, {"responses", "responses"}, {"embedding", "embeddings"},
                                                                   {"completion", "completions"}, {"moderation", "moderations"}, {"rerank", "rerank"},
                                                                   {"image_generation", "image_generate"}, {"image_edit", "image_edit"},
                                                                   {"audio_speech", "speech"}, {"audio_transcription", "transcribe"}};

std::string_view mode_of(std::string_view said) noexcept
{
    for (const auto& [theirs, ours] : modes)
        if (theirs == said) return ours;
    return {};
}


/// "input_cost_per_token_above_200k_tokens" → 200000; names with more behind (…_priority) or with "1hr" are other prices.
std::int64_t above(std::string_view name, std::string_view base)
{
    if (!name.starts_with(base)) return -1;
    name.remove_prefix(base.size());
    if (!name.starts_with("_above_") || !name.ends_with("k_tokens")) return -1;
    const auto count = core::to_int(name.substr(7, name.size() - 15));
    return count ? *count * 1000 : -1;
}

void read_prices(const Json& entry, Model& model)
{
    for (std::size_t i = 0; i < price_keys.size(); ++i) model.prices.set(i, number(entry, price_keys[i]));
    if (model.prices.value[2] < 0) model.prices.set(2, number(entry, "input_cost_per_token_cache_hit"));
    if (const auto ranges = entry.find("tiered_pricing"); ranges != entry.end() && ranges->is_array()) {
        for (const auto& range : *ranges) {
            const auto bounds = range.find("range");
            if (!range.is_object() || bounds == range.end() || !bounds->is_array() || bounds->empty() || !(*bounds)[0].is_number()) continue;
            const auto from = std::llround((*bounds)[0].get<double>());
            Prices& prices = from <= 0 ? model.prices : model.tiers[from];
            for (std::size_t i = 0; i < price_keys.size(); ++i) prices.set(i, number(range, price_keys[i]));
        }
    }
    for (const auto& [name, value] : entry.items())
        for (std::size_t i = 0; i < price_keys.size(); ++i)
            if (const auto from = above(name, price_keys[i]); from > 0) model.tiers[from].set(i, number(entry, name));
    // What a tier does not say costs what it cost below.
    std::array<std::int64_t, 4> last = model.prices.value;
    for (auto& [from, tier] : model.tiers) {
        model.prices.refused |= tier.refused;
        for (std::size_t i = 0; i < 4; ++i)
            if (tier.value[i] < 0) tier.value[i] = last[i];
        last = tier.value;
    }
    if (model.prices.refused) {
        model.prices.value = {-1, -1, -1, -1};
        model.tiers.clear();
    }
}

void read_features(const Json& entry, Model& model)
{
    struct Flag {
        core::Features bits;
        std::array<const char*, 3> names;
    };
    static constexpr Flag flags[] = {
        {core::Tools, {"supports_function_calling", "supports_tool_choice", nullptr}},
        {core::ParallelTools, {"supports_parallel_function_calling", nullptr, nullptr}},
        {core::Images, {"supports_vision", nullptr, nullptr}},
        {core::Files, {"supports_pdf_input", nullptr, nullptr}},
        {core::AudioIn, {"supports_audio_input", nullptr, nullptr}},
        {core::AudioOut, {"supports_audio_output", nullptr, nullptr}},
        {core::JsonObject | core::JsonSchema, {"supports_response_schema", "supports_json_schema", "supports_native_structured_output"}},
        {core::Reasoning, {"supports_reasoning", nullptr, nullptr}},
        {core::Prefill, {"supports_assistant_prefill", nullptr, nullptr}},
        {core::Stream, {"supports_native_streaming", nullptr, nullptr}}};
    for (const auto& flag : flags) {
        bool yes = false, no = false;
        for (const char* name : flag.names) {
            yes |= name && is_true(entry, name);
            no |= name && is_false(entry, name);
        }
        if (yes) model.offers |= flag.bits;
        if (no) model.lacks |= flag.bits;
    }
    // Lists of modalities are whole: what is not in them is not there. A flag that is absent says nothing.
    const auto modality = [&](const char* list, std::string_view word, core::Features bit) {
        if (lists(entry, list, word))
            model.offers |= bit;
        else if (has_list(entry, list))
            model.lacks |= bit;
    };
    modality("supported_modalities", "image", core::Images);
    modality("supported_modalities", "audio", core::AudioIn);
    modality("supported_output_modalities", "audio", core::AudioOut);
    model.lacks &= ~model.offers;
}

/// The id as the provider itself says it: without the name that the list puts in front.
std::string plain_id(std::string_view name, std::string_view provider)
{
    std::vector<std::string> fronts{std::string(provider)};
    if (provider.starts_with("vertex_ai")) fronts.emplace_back("vertex_ai");
    if (provider.starts_with("bedrock")) fronts.emplace_back("bedrock");
    if (provider == "amazon_nova") fronts.emplace_back("amazon-nova");
    if (provider == "cohere_chat") fronts.emplace_back("cohere");
    for (const auto& front : fronts)
        if (name.size() > front.size() + 1 && name.starts_with(front) && name[front.size()] == '/') return std::string(name.substr(front.size() + 1));
    return std::string(name);
}

/// Why an entry is no model that could be asked; empty: it is one.
std::string_view no_model(const std::string& name, const std::string& provider, const Json& entry, bool chats)
{
    if (name.starts_with("ft:")) return "prices of fine-tuned models";
    if (name.starts_with("together-ai-") || name.starts_with("fireworks-ai-")) return "size classes";
    if (name == "openai/container") return "no models";
    if (is_true(entry, "gemini_native_audio") || is_true(entry, "gemini_audio_only_live") || name.find("-live-") != name.npos)
        return "live audio only";
    if (name.find("-x-") != name.npos) return "sizes of images";
    if (!chats) return {};
    if (has_list(entry, "supported_output_modalities") && !lists(entry, "supported_output_modalities", "text")) return "no text";
    if (provider == "gemini" && name.find("lyria") != name.npos) return "no text";
    return {};
}

/// A price of nothing is meant only where somebody says so: zeros also stand for subscriptions, routers and holes in the list.
bool really_free(const Model& model)
{
    if (model.prices.value[0] != 0 || model.prices.value[1] != 0) return false;
    const std::string id = core::lower(model.id);
    if (id.ends_with(":free") || id.ends_with("-free") || id.ends_with("/free")) return true;
    if (model.provider == "ollama" || model.provider == "lemonade") return !id.ends_with("-cloud");
    return model.provider == "zai" && id.ends_with("-flash");
}

Ordered price_list(const std::array<std::int64_t, 4>& value)
{
    auto out = Ordered::array();
    for (const auto price : value) out.push_back(price < 0 ? Ordered(nullptr) : Ordered(price));
    return out;
}

std::string line_of(const Model& model)
{
    Ordered out;
    out["provider"] = model.provider;
    out["id"] = model.id;
    out["mode"] = model.mode;
    if (model.context >= 0) out["context"] = model.context;
    if (model.max_output >= 0) out["max_output"] = model.max_output;
    if (model.prices.value != std::array<std::int64_t, 4>{-1, -1, -1, -1}) out["price"] = price_list(model.prices.value);
    if (!model.tiers.empty()) {
        auto tiers = Ordered::array();
        for (const auto& [from, prices] : model.tiers) {
            auto tier = price_list(prices.value);
            tier.insert(tier.begin(), from);
            tiers.push_back(std::move(tier));
        }
        out["tiers"] = std::move(tiers);
    }
    if (model.offers) out["offers"] = feature_names(model.offers);
    if (model.lacks) out["lacks"] = feature_names(model.lacks);
    if (model.free) out["free"] = true;
    if (!model.retires.empty()) out["retires"] = model.retires;
    return out.dump(-1, ' ', false, Ordered::error_handler_t::replace);
}

bool is_day(std::string_view text) noexcept
{
    return text.size() == 10 && text[4] == '-' && text[7] == '-' &&
           std::all_of(text.begin(), text.end(), [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
}
} // namespace

core::Result<BuiltCatalog> build_catalog(std::string_view text, std::string_view today)
{
    using core::Fault, core::FaultKind;
    if (!today.empty() && !is_day(today)) return Fault{FaultKind::BadRequest, "today is no day like 2026-07-24"};
    const auto json = Ordered::parse(text, nullptr, false);
    if (!json.is_object()) return Fault{FaultKind::BadRequest, "the price list is no JSON object"};

    std::vector<Model> models;
    std::map<std::string, std::size_t> left_out;
    std::set<std::string> seen;
    std::string report;
    for (const auto& [name, ordered] : json.items()) {
        if (name == "sample_spec" || name == "fallback_generalizations" || !ordered.is_object()) {
            ++left_out["no models"];
            continue;
        }
        const Json entry = ordered;
        const auto mode = entry.value("mode", Json());
        const auto provider = entry.value("litellm_provider", Json());
        if (!mode.is_string() || !provider.is_string()) {
            ++left_out["no mode or no provider"];
            continue;
        }
        const auto ours = mode_of(mode.get_ref<const std::string&>());
        if (ours.empty()) {
            ++left_out["other modes"];
            continue;
        }
        Model model;
        model.provider = provider.get<std::string>();
        if (const auto why = no_model(name, model.provider, entry, mode == "chat" || mode == "responses"); !why.empty()) {
            ++left_out[std::string(why)];
            continue;
        }
        if (const auto day = entry.value("deprecation_date", Json()); day.is_string() && is_day(day.get_ref<const std::string&>()))
            model.retires = day.get<std::string>();
        if (!today.empty() && !model.retires.empty() && std::string_view(model.retires) <= today) {
            ++left_out["switched off"];
            continue;
        }
        model.id = plain_id(name, model.provider);
        if (!seen.insert(model.provider + '\n' + core::lower(model.id)).second) {
            ++left_out["twice under one provider (the first one stays)"];
            continue;
        }
        model.mode = ours;
        model.context = tokens(entry, "max_input_tokens");
        model.max_output = tokens(entry, "max_output_tokens");
        if (model.max_output < 0) model.max_output = tokens(entry, "max_tokens");
        read_prices(entry, model);
        if (model.prices.refused) report += "price refused, out of scale: " + name + '\n';
        read_features(entry, model);
        // OpenRouter's own names are routers: what they cost is decided later.
        if (model.provider == "openrouter" && model.id.starts_with("openrouter/") && !model.id.ends_with("/free"))
            model.prices.value = {-1, -1, -1, -1};
        model.free = really_free(model);
        models.push_back(std::move(model));
    }
    if (models.empty()) return Fault{FaultKind::BadRequest, "there is no chat model in the price list"};
    std::sort(models.begin(), models.end(), [](const Model& a, const Model& b) { return std::tie(a.provider, a.id) < std::tie(b.provider, b.id); });

    BuiltCatalog out;
    out.models = models.size();
    Ordered head;
    head["portolan_catalog"] = 1;
    head["dated"] = today;
    head["source"] = "LiteLLM model_prices_and_context_window.json (MIT, BerriAI)";
    head["unit"] = "prices: input, output, cache read, cache write in pico-USD per token (= micro-USD per million tokens)";
    out.text = head.dump();
    out.text.back() = ',';
    out.text += "\"models\":[\n";
    std::size_t priced = 0, free = 0;
    for (std::size_t i = 0; i < models.size(); ++i) {
        out.text += line_of(models[i]) + (i + 1 < models.size() ? ",\n" : "\n");
        priced += models[i].prices.value[0] > 0 || models[i].prices.value[1] > 0;
        free += models[i].free;
    }
    out.text += "]}\n";
    for (const auto& [why, count] : left_out) report += "left out, " + why + ": " + std::to_string(count) + '\n';
    out.report = std::to_string(models.size()) + " models, " + std::to_string(priced) + " with a price, " + std::to_string(free) + " free\n" + report;
    return out;
}

} // namespace config
