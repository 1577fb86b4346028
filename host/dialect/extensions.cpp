// models, route, portolan, provider: what docs of the surface promise about them.
#include "dialect/extensions.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace dialect {

namespace {

using core::JsonString;

constexpr std::array<std::string_view, 13> portolan_members{"policy",      "allow",           "deny",
                                                            "prefer",      "max_cost_usd",    "max_latency_ms",
                                                            "min_quality", "sticky_key",      "include_reasoning",
                                                            "explain",     "allow_fallbacks", "tags",
                                                            "cache"};
constexpr std::array<std::string_view, 9> provider_members{
    "order", "only", "ignore", "allow_fallbacks", "require_parameters", "sort", "max_price", "data_collection", "zdr"};
constexpr std::array<std::string_view, 3> cache_members{"mode", "ttl", "scope"},
    sorts{"price", "throughput", "latency"};
constexpr std::array<std::string_view, 4> price_members{"prompt", "completion", "request", "image"},
    cache_modes{"default", "off", "refresh", "only"};
constexpr std::array<std::string_view, 2> scopes{"workspace", "key"};
constexpr std::size_t most_models = 5; // of a fallback chain, `model` included

std::string of_provider(std::string_view slug)
{
    return std::string(slug.substr(0, slug.find('/'))) + "/*";
} // "deepinfra/turbo" names a variant

void add_unique(std::vector<std::string>& to, std::string text)
{
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(std::move(text));
}

} // namespace

bool Extensions::read(std::string_view name, ChatRequest& request, bool& good)
{
    if (name == "models")
        good = fields_.texts(name, models_);
    else if (name == "route")
        good = fields_.text(name, route_);
    else if (name == "portolan")
        good = portolan(request);
    else if (name == "provider")
        good = provider(request);
    else if (name == "mock_testing_fallbacks")
        good = fields_.flag(name, request.mock_testing_fallbacks);
    else if (name == "mock_failure_rate")
        good = fields_.number(name, request.mock_failure_rate);
    else
        return false;
    request.extensions.emplace_back(name);
    return true;
}

bool Extensions::portolan(ChatRequest& request)
{
    auto& scan = fields_.scan();
    if (scan.peek() == 'n') return scan.skip();
    if (scan.peek() != '{') return fields_.wrong("portolan", "an object");
    return scan.object([&](const JsonString& key) {
        constexpr std::int64_t day_ms = 86'400'000;
        if (key.is("policy")) return fields_.text("portolan.policy", request.policy);
        if (key.is("allow")) return fields_.texts("portolan.allow", request.allow);
        if (key.is("deny")) return fields_.texts("portolan.deny", request.deny);
        if (key.is("prefer")) return fields_.texts("portolan.prefer", request.prefer);
        if (key.is("max_cost_usd")) return fields_.number("portolan.max_cost_usd", max_cost_usd_);
        if (key.is("max_latency_ms"))
            return fields_.integer("portolan.max_latency_ms", 1, day_ms, request.max_latency_ms);
        if (key.is("min_quality")) return fields_.number("portolan.min_quality", request.min_quality);
        if (key.is("sticky_key")) return fields_.text("portolan.sticky_key", sticky_key_);
        if (key.is("include_reasoning")) return fields_.flag("portolan.include_reasoning", request.include_reasoning);
        if (key.is("explain")) return fields_.flag("portolan.explain", request.explain);
        if (key.is("allow_fallbacks")) return fields_.flag("portolan.allow_fallbacks", request.allow_fallbacks);
        if (key.is("tags")) return tags(request);
        if (key.is("cache")) return cache(request);
        unknown_member(fields_.complaint(), "portolan", key.text(), portolan_members);
        return scan.skip();
    });
}

bool Extensions::tags(ChatRequest& request)
{
    auto& scan = fields_.scan();
    if (scan.peek() == 'n') return scan.skip();
    if (scan.peek() != '{') return fields_.wrong("portolan.tags", "an object of strings");
    return scan.object([&](const JsonString& key) {
        const std::string name = key.text();
        if (scan.peek() != '"') return fields_.wrong("portolan.tags." + shown(name, 64), "a string");
        JsonString value;
        if (!scan.string(value)) return false;
        request.tags.emplace_back(name, value.text());
        return true;
    });
}

bool Extensions::cache(ChatRequest& request)
{
    auto& scan = fields_.scan();
    if (scan.peek() == 'n') return scan.skip();
    if (scan.peek() != '{') return fields_.wrong("portolan.cache", "an object");
    return scan.object([&](const JsonString& key) {
        constexpr std::int64_t year_s = 31'536'000;
        if (key.is("mode")) return fields_.one_of("portolan.cache.mode", cache_modes, request.cache_mode);
        if (key.is("ttl")) return fields_.integer("portolan.cache.ttl", 0, year_s, request.cache_ttl_s);
        if (key.is("scope")) return fields_.one_of("portolan.cache.scope", scopes, request.cache_scope);
        unknown_member(fields_.complaint(), "portolan.cache", key.text(), cache_members);
        return scan.skip();
    });
}

bool Extensions::provider(ChatRequest& request)
{
    auto& scan = fields_.scan();
    if (scan.peek() == 'n') return scan.skip();
    if (scan.peek() != '{') return fields_.wrong("provider", "an object");
    return scan.object([&](const JsonString& key) {
        bool all_parameters = false; // what no candidate supports is never sent to it, so there is nothing to require
        if (key.is("order")) return fields_.texts("provider.order", order_);
        if (key.is("only")) return fields_.texts("provider.only", only_);
        if (key.is("ignore")) return fields_.texts("provider.ignore", ignore_);
        if (key.is("allow_fallbacks")) return fields_.flag("provider.allow_fallbacks", request.allow_fallbacks);
        if (key.is("require_parameters")) return fields_.flag("provider.require_parameters", all_parameters);
        if (key.is("sort")) return sort();
        if (key.is("max_price")) return max_price();
        // A promise about data that nobody here can keep is refused, not dropped.
        if (key.is("data_collection")) return refuse_unless("provider.data_collection", "\"allow\"");
        if (key.is("zdr")) return refuse_unless("provider.zdr", "false");
        unknown_member(fields_.complaint(), "provider", key.text(), provider_members);
        return scan.skip();
    });
}

bool Extensions::refuse_unless(std::string_view param, std::string_view harmless)
{
    std::string_view value;
    if (!fields_.scan().skip(value)) return false;
    if (value != harmless && value != "null")
        fields_.complaint().add(
            param, "Unsupported value: '" + std::string(param) + "' cannot be promised for the configured providers.",
            "unsupported_value");
    return true;
}

bool Extensions::sort()
{
    auto& scan = fields_.scan();
    if (scan.peek() != '{') return fields_.one_of("provider.sort", sorts, sort_);
    return scan.object([&](const JsonString& key) {
        return key.is("by") ? fields_.one_of("provider.sort.by", sorts, sort_) : scan.skip();
    });
}

bool Extensions::max_price()
{
    auto& scan = fields_.scan();
    if (scan.peek() == 'n') return scan.skip();
    if (scan.peek() != '{') return fields_.wrong("provider.max_price", "an object");
    return scan.object([&](const JsonString& key) {
        double other = 0;
        if (key.is("prompt")) return fields_.number("provider.max_price.prompt", prompt_price_);
        if (key.is("completion")) return fields_.number("provider.max_price.completion", completion_price_);
        if (key.is("request") || key.is("image")) return fields_.number("provider.max_price." + key.text(), other);
        unknown_member(fields_.complaint(), "provider.max_price", key.text(), price_members);
        return scan.skip();
    });
}

void Extensions::finish(ChatRequest& request)
{
    if (!sticky_key_.empty()) request.user = std::move(sticky_key_);
    if (route_ == "fallback")
        for (auto& model : models_) {
            if (model == request.model || std::find(request.fallback_models.begin(), request.fallback_models.end(),
                                                    model) != request.fallback_models.end())
                continue;
            if (request.fallback_models.size() + 1 == most_models)
                request.models_cut = true;
            else
                request.fallback_models.push_back(std::move(model));
        }
    for (const auto& slug : order_) add_unique(request.prefer, of_provider(slug));
    for (const auto& slug : only_) add_unique(request.allow, of_provider(slug));
    for (const auto& slug : ignore_) add_unique(request.deny, of_provider(slug));
    if (request.policy.empty() && !sort_.empty()) request.policy = sort_ == "price" ? "cheapest" : "fastest";
    constexpr double most_nusd = 9e18; // what still fits
    const auto ceiling = [&](double nusd) {
        const auto value = static_cast<std::int64_t>(std::min(std::floor(nusd), most_nusd));
        if (request.max_cost_nusd < 0 || value < request.max_cost_nusd) request.max_cost_nusd = value;
    };
    if (max_cost_usd_ >= 0) ceiling(max_cost_usd_ * 1e9);
    // Dollars for a million tokens are thousands of nano-dollars for one.
    if (prompt_price_ >= 0 && completion_price_ >= 0 && request.max_output_tokens > 0)
        ceiling(1000 * (prompt_price_ * static_cast<double>(request.est_input_tokens) +
                        completion_price_ * static_cast<double>(request.max_output_tokens)));
}

} // namespace dialect
