// Components out of generations: configuration checked, instance made, table adapted.
#include "plugin/registry.h"

#include "plugin/bounded_json.h"
#include "plugin/generation.h"
#include "plugin/schema.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace plugin {

namespace {

core::Fault wrong_request(std::string why) { return {.kind = core::FaultKind::BadRequest, .message = std::move(why)}; }

std::string lines_of(const std::vector<std::string>& mistakes)
{
    std::string all;
    for (const auto& mistake : mistakes) all += (all.empty() ? "" : "\n") + mistake;
    return all;
}

/// The configuration as the component wants it, and the endpoint's base URL, which is the host's business.
struct Configured {
    std::string config, base_url;
};

core::Result<Configured> configure(const Component& about, std::string_view text)
{
    std::string why;
    auto config = parse_bounded(text, why);
    if (!config) return wrong_request("/: " + why);
    const auto schema = nlohmann::json::parse(about.config_schema);
    Configured c;
    if (config->is_object()) { // else complete() says what is wrong
        const bool wanted = schema.contains("properties") && schema["properties"].contains("base_url");
        if (const auto url = config->find("base_url"); url != config->end() && url->is_string()) {
            c.base_url = url->get<std::string>();
            if (!wanted) config->erase(url);
        } else if (wanted && url == config->end() && !about.base_url.empty() && about.base_url.find('{') == std::string::npos)
            (*config)["base_url"] = about.base_url;
    }
    auto completed = complete(about.config_schema, config->dump());
    if (!completed.mistakes.empty()) return wrong_request(lines_of(completed.mistakes));
    c.config = std::move(completed.json);
    if (c.base_url.empty()) // a default of the schema
        if (const auto full = nlohmann::json::parse(c.config); full.contains("base_url") && full["base_url"].is_string()) c.base_url = full["base_url"];
    return c;
}

core::Fault no_component(const Generation& g, std::string_view name)
{
    const auto near = g.nearest(name);
    auto text = "no plugin has a component \"" + std::string(name) + '"';
    if (!near.empty()) text += ", did you mean \"" + near + "\"?";
    return wrong_request(std::move(text));
}

CallLimits limits_of(const config::Plugins& p) { return {p.decide_us, p.frame_us, p.request_us, p.create_us}; }

} // namespace

Registry::Registry(config::Plugins plugins, std::string store_dir, std::string shipped_dir)
    : store_dir_(std::move(store_dir)), shipped_dir_(std::move(shipped_dir)), plugins_(std::move(plugins)), current_(std::make_shared<const Generation>())
{
}
Registry::~Registry() = default;

std::shared_ptr<const Generation> Registry::load()
{
    std::unique_lock guard(lock_);
    auto plugins = plugins_;
    guard.unlock();
    return load(std::move(plugins));
}

std::shared_ptr<const Generation> Registry::load(config::Plugins plugins)
{
    const std::lock_guard one_at_a_time(loading_);
    auto next = scan(plugins, store_dir_, shipped_dir_, *current());
    const std::lock_guard guard(lock_);
    plugins_ = std::move(plugins);
    return current_ = std::move(next);
}

std::shared_ptr<const Generation> Registry::current() const
{
    const std::lock_guard guard(lock_);
    return current_;
}

core::Result<std::unique_ptr<dispatch::Provider>> Registry::make_provider(std::string_view component, std::string_view config) const
{
    const auto generation = current();
    const auto* entry = generation->find(component);
    if (!entry) return no_component(*generation, component);
    const auto& about = entry->library->manifest().components.at(entry->name);
    const bool generator = about.kind == PORTOLAN_GENERATOR;
    if (!generator && about.kind != PORTOLAN_PROVIDER) return wrong_request(entry->name + " is no provider but " + about.kind);
    auto configured = configure(about, config);
    if (!configured) return configured.fault();
    auto bases = resolve_bases(about, configured->base_url, configured->config);
    if (!bases) return bases.fault();
    std::unique_lock guard(lock_);
    const auto limits = limits_of(plugins_);
    guard.unlock();
    auto instance = Instance::create(entry->library, entry->name, std::move(configured->config), limits);
    if (!instance) return instance.fault();
    return generator ? adapt_generator(std::move(*instance)) : adapt_provider(std::move(*instance), std::move(*bases));
}

core::Result<std::unique_ptr<routing::Policy>> Registry::make_policy(std::string_view component, std::string_view config) const
{
    const auto generation = current();
    const auto* entry = generation->find(component);
    if (!entry) return no_component(*generation, component);
    const auto& about = entry->library->manifest().components.at(entry->name);
    if (about.kind != PORTOLAN_POLICY) return wrong_request(entry->name + " is no policy but " + about.kind);
    auto completed = complete(about.config_schema, config);
    if (!completed.mistakes.empty()) return wrong_request(lines_of(completed.mistakes));
    std::unique_lock guard(lock_);
    const auto limits = limits_of(plugins_);
    guard.unlock();
    auto instance = Instance::create(entry->library, entry->name, std::move(completed.json), limits);
    if (!instance) return instance.fault();
    return adapt_policy(std::move(*instance), entry->grants);
}

std::vector<Loaded> Registry::list() const { return current()->rows; }
std::vector<std::string> Registry::warnings() const { return current()->warnings; }

std::vector<StatsOf> Registry::stats() const
{
    std::vector<StatsOf> all;
    for (const auto& [file, served] : current()->served)
        if (const auto& l = *served.library; std::none_of(all.begin(), all.end(), [&](const StatsOf& s) { return s.hash == l.hash(); }))
            all.push_back({l.manifest().id, l.hash(), &l.callee().stats});
    return all;
}

} // namespace plugin
