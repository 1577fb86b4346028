#include "config/catalog.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace config {

namespace {
struct Named {
    core::Features bit;
    std::string_view name;
};
constexpr Named features[] = {
    {core::Tools, "tools"}, {core::ParallelTools, "parallel_tools"}, {core::ServerTools, "server_tools"}, {core::Images, "images"},
    {core::Files, "files"}, {core::AudioIn, "audio_in"}, {core::AudioOut, "audio_out"}, {core::JsonObject, "json_object"},
    {core::JsonSchema, "json_schema"}, {core::Reasoning, "reasoning"}, {core::Logprobs, "logprobs"}, {core::Choices, "choices"},
    {core::Prefill, "prefill"}, {core::CacheMarks, "cache_marks"}, {core::Stream, "stream"}};

/// What a model of this mode is for; an unknown mode says nothing.
core::Operations catalog_operations(std::string_view mode) noexcept
{
    using core::Op, core::bit_of;
    if (mode == "chat" || mode == "responses") return bit_of(Op::Chat) | bit_of(Op::Responses) | bit_of(Op::CountTokens);
    if (mode == "image_generate") return bit_of(Op::ImageGenerate) | bit_of(Op::ImageEdit);
    return core::op_bit_named(mode);
}

/// A thousand dollars for a million tokens: nothing costs as much.
constexpr std::int64_t dearest = 1'000'000'000;
} // namespace

core::Features feature_named(std::string_view name) noexcept
{
    for (const auto& f : features)
        if (f.name == name) return f.bit;
    return 0;
}

std::vector<std::string_view> feature_names() { return feature_names(~core::Features{0}); }

std::vector<std::string_view> feature_names(core::Features wanted)
{
    std::vector<std::string_view> out;
    for (const auto& f : features)
        if (wanted & f.bit) out.push_back(f.name);
    return out;
}

/// Fills a ModelCatalog; throws std::invalid_argument with what is wrong, caught in parse_and_check.
struct CatalogReader {
    using Json = nlohmann::json;

    static std::int64_t count(const Json& model, const char* name, std::int64_t most)
    {
        const auto found = model.find(name);
        if (found == model.end() || found->is_null()) return -1;
        return number(*found, most, name);
    }

    static std::int64_t number(const Json& value, std::int64_t most, const char* name)
    {
        if (value.is_null()) return -1;
        if (!value.is_number_integer() || value.get<std::int64_t>() < 0 || value.get<std::int64_t>() > most)
            throw std::invalid_argument(std::string(name) + " is no whole number in range");
        return value.get<std::int64_t>();
    }

    static core::Features bits(const Json& model, const char* name)
    {
        core::Features out = 0;
        const auto found = model.find(name);
        if (found == model.end()) return out;
        if (!found->is_array()) throw std::invalid_argument(std::string(name) + " is no list");
        for (const auto& item : *found) {
            const auto bit = item.is_string() ? feature_named(item.get_ref<const std::string&>()) : 0;
            if (!bit) throw std::invalid_argument(std::string(name) + " holds a feature that is not known");
            out |= bit;
        }
        return out;
    }

    /// [input, output, cache read, cache write]
    template <class Prices>
    static void prices(const Json& list, std::size_t from, Prices& out)
    {
        if (!list.is_array() || list.size() != from + 4) throw std::invalid_argument("prices are no list of four");
        out.price_input = number(list[from], dearest, "price"), out.price_output = number(list[from + 1], dearest, "price");
        out.price_cache_read = number(list[from + 2], dearest, "price"), out.price_cache_write = number(list[from + 3], dearest, "price");
    }

    static std::string text(const Json& object, const char* name)
    {
        const auto found = object.find(name);
        if (found == object.end()) return {};
        if (!found->is_string()) throw std::invalid_argument(std::string(name) + " is no text");
        return found->get<std::string>();
    }

    static void model(const Json& json, ModelCatalog& into)
    {
        if (!json.is_object()) throw std::invalid_argument("is no object");
        const std::string provider = text(json, "provider");
        CatalogModel out;
        ModelFacts& f = out.facts;
        f.id = text(json, "id");
        if (provider.empty() || f.id.empty()) throw std::invalid_argument("has no provider or no id");
        const auto mode = text(json, "mode");
        out.responses_only = mode == "responses";
        f.operations = catalog_operations(mode);
        out.retires = text(json, "retires");
        f.context_tokens = count(json, "context", 1'000'000'000), f.max_output_tokens = count(json, "max_output", 1'000'000'000);
        if (const auto found = json.find("price"); found != json.end()) prices(*found, 0, f);
        if (const auto found = json.find("tiers"); found != json.end()) {
            if (!found->is_array()) throw std::invalid_argument("tiers are no list");
            for (const auto& item : *found) {
                ModelFacts::Tier tier{};
                prices(item, 1, tier);
                tier.above_tokens = number(item[0], 1'000'000'000, "tier");
                if (!f.tiers.empty() && f.tiers.back().above_tokens >= tier.above_tokens) throw std::invalid_argument("tiers do not rise");
                f.tiers.push_back(tier);
            }
        }
        f.features = bits(json, "offers");
        f.features_known = f.features | bits(json, "lacks");
        if (const auto found = json.find("quality"); found != json.end() && !found->is_null()) {
            if (!found->is_number() || found->get<double>() < 0 || found->get<double>() > 1)
                throw std::invalid_argument("quality is not between 0 and 1");
            f.quality = found->get<double>();
        }
        if (const auto found = json.find("free"); found != json.end()) f.free = found->is_boolean() && found->get<bool>();
        std::string id = f.id;
        if (!into.models_[provider].emplace(std::move(id), std::move(out)).second) throw std::invalid_argument("is there twice");
        ++into.size_;
    }

    /// index: the model that was being read when this throws.
    static void fill(const Json& json, const Json& models, ModelCatalog& into, std::size_t& index)
    {
        for (; index < models.size(); ++index) model(models[index], into);
        into.dated_ = text(json, "dated");
    }
};

CatalogResult parse_and_check(std::string_view text)
{
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) return {nullptr, "the catalogue is no JSON object"};
    if (json.value("portolan_catalog", nlohmann::json()) != nlohmann::json(1)) return {nullptr, "this is no catalogue of version 1"};
    const auto models = json.find("models");
    if (models == json.end() || !models->is_array()) return {nullptr, "the catalogue has no list of models"};
    auto out = std::make_shared<ModelCatalog>();
    std::size_t index = 0;
    try {
        CatalogReader::fill(json, *models, *out, index);
    } catch (const std::invalid_argument& e) {
        const auto& bad = index < models->size() ? (*models)[index] : json;
        const std::string id = bad.is_object() && bad.contains("id") && bad["id"].is_string() ? " (" + bad["id"].get<std::string>() + ")" : "";
        return {nullptr, "model " + std::to_string(index) + id + ": " + e.what()};
    }
    if (out->size() == 0) return {nullptr, "the catalogue has no models"};
    return {std::move(out), {}};
}

const CatalogModel* ModelCatalog::find(const std::vector<std::string>& providers, std::string_view id) const
{
    for (const auto& name : providers)
        if (const auto provider = models_.find(name); provider != models_.end())
            if (const auto found = provider->second.find(id); found != provider->second.end()) return &found->second;
    return nullptr;
}

std::vector<const CatalogModel*> ModelCatalog::models(const std::vector<std::string>& providers, std::string_view today) const
{
    std::map<std::string_view, const CatalogModel*> out;
    for (const auto& name : providers)
        if (const auto provider = models_.find(name); provider != models_.end())
            for (const auto& [id, model] : provider->second)
                if (!model.responses_only && (today.empty() || model.retires.empty() || std::string_view(model.retires) > today)) out.emplace(id, &model);
    std::vector<const CatalogModel*> list;
    for (const auto& [id, model] : out) list.push_back(model);
    return list;
}

} // namespace config
