// Components out of generations: configuration checked, instance made, table adapted.
#include "plugin/registry.h"

#include "core/log.h"
#include "plugin/bounded_json.h"
#include "plugin/generation.h"
#include "plugin/schema.h"
#include "plugin/staging.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>

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

core::Fault no_component(const Generation& g, std::string_view name, bool only_shipped)
{
    if (only_shipped || g.gone.contains(component_key(name)))
        return {.kind = core::FaultKind::NoProvider, .message = "the plugin with the component \"" + std::string(name) + "\" was removed, is in quarantine, or is left out of a safe start"};
    const auto near = g.nearest(name);
    auto text = "no plugin has a component \"" + std::string(name) + '"';
    if (!near.empty()) text += ", did you mean \"" + near + "\"?";
    return wrong_request(std::move(text));
}

} // namespace

/// The program for isolated plugins lies where this one does.
static std::string program_beside_this()
{
    std::error_code ec;
    return (std::filesystem::read_symlink("/proc/self/exe", ec).parent_path() / "portolan-plugin-host").string();
}

Registry::Registry(config::Plugins plugins, std::string store_dir, std::string shipped_dir)
    : store_dir_(std::move(store_dir)), shipped_dir_(std::move(shipped_dir)), host_program_(program_beside_this()), plugins_(std::move(plugins)), current_(std::make_shared<const Generation>()),
      before_(current_), crashes_(read_crashes(crash_file(store_dir_)))
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
    {
        const std::lock_guard guard(lock_);
        plugins_ = std::move(plugins);
        before_ = current_;
        rejected_.clear(), failed_.clear();
    }
    return scan_again(before_);
}

/// Under loading_: what it reads here changes only there.
std::shared_ptr<const Generation> Registry::scan_again(const std::shared_ptr<const Generation>& before)
{
    auto next = scan({plugins_, store_dir_, shipped_dir_, host_program_, *before, crashes_, rejected_});
    replace(next);
    return next;
}

bool Registry::bring_back()
{
    const std::lock_guard one_at_a_time(loading_);
    {
        const std::lock_guard guard(lock_);
        if (failed_.empty()) return false;
        rejected_.merge(failed_);
        failed_.clear();
    }
    scan_again(before_);
    return true;
}

void Registry::undo()
{
    const std::lock_guard one_at_a_time(loading_);
    replace(before_);
}

/// Files of `next` serve from now on; libraries that no file of it has any more are on their way out.
void Registry::replace(std::shared_ptr<const Generation> next)
{
    std::set<std::string> keep;
    {
        const std::lock_guard guard(lock_);
        for (const auto& entry : current_->served) {
            const auto& served = entry.second;
            const bool known = std::any_of(leaving_.begin(), leaving_.end(), [&](const Leaving& l) { return l.library == served.library; });
            if (!known && !next->has_hash(served.library->hash())) leaving_.push_back({served.library, served.row});
        }
        std::erase_if(leaving_, [&](const Leaving& l) { return next->has_hash(l.library->hash()); });
        for (const auto& leaving : leaving_) keep.insert(leaving.library->hash());
        for (const auto& [file, served] : before_->served) keep.insert(served.library->hash());
        for (const auto& [file, served] : next->served) keep.insert(served.library->hash());
        current_ = std::move(next);
    }
    purge(store_dir_, keep);
}

void Registry::retire()
{
    const std::lock_guard one_at_a_time(loading_);
    std::vector<std::shared_ptr<const Library>> drained;
    {
        const std::lock_guard guard(lock_);
        std::erase_if(leaving_, [&](Leaving& l) {
            if (l.library->instances().load(std::memory_order_acquire)) return false;
            drained.push_back(std::move(l.library));
            return true;
        });
        if (!drained.empty()) before_ = current_; // it would hold them
        retirements_.retired += drained.size();
        if (plugins_.unload != "try")
            std::erase_if(drained, [](auto& library) {
                if (library->isolated()) return false;
                Library::give_up(std::move(library));
                return true;
            });
    }
    for (auto& library : drained) {
        const auto name = library->manifest().id + ' ' + library->hash().substr(0, 12);
        const bool gone = Library::unload(std::move(library));
        core::log::info("plugin " + name + (gone ? " was unloaded" : " has drained and stays mapped"));
        const std::lock_guard guard(lock_);
        ++(gone ? retirements_.unloaded : retirements_.stayed_mapped);
    }
}

std::shared_ptr<const Generation> Registry::current() const
{
    const std::lock_guard guard(lock_);
    return current_;
}

bool Registry::only_shipped() const
{
    const std::lock_guard guard(lock_);
    return plugins_.only_shipped;
}

CallLimits Registry::limits() const
{
    const std::lock_guard guard(lock_);
    return {plugins_.decide_us, plugins_.frame_us, plugins_.request_us, plugins_.create_us};
}

/// A component could not be made: if its file changed in the last load(), the change may be to blame.
void Registry::blame(const std::string& hash, const std::string& why) const
{
    const std::lock_guard guard(lock_);
    if (!before_->served.empty() && !before_->has_hash(hash)) failed_[hash] = why;
}

core::Result<std::unique_ptr<dispatch::Provider>> Registry::make_provider(std::string_view component, std::string_view config) const
{
    const auto generation = current();
    const auto* entry = generation->find(component);
    if (!entry) return no_component(*generation, component, only_shipped());
    const auto& about = entry->library->manifest().components.at(entry->name);
    const bool generator = about.kind == PORTOLAN_GENERATOR;
    if (!generator && about.kind != PORTOLAN_PROVIDER) return wrong_request(entry->name + " is no provider but " + about.kind);
    const auto make = [&]() -> core::Result<std::unique_ptr<dispatch::Provider>> {
        auto configured = configure(about, config);
        if (!configured) return configured.fault();
        auto bases = resolve_bases(about, configured->base_url, configured->config);
        if (!bases) return bases.fault();
        auto instance = Instance::create(entry->library, entry->name, std::move(configured->config), limits());
        if (!instance) return instance.fault();
        return generator ? adapt_generator(std::move(*instance)) : adapt_provider(std::move(*instance), std::move(*bases));
    };
    auto made = make();
    if (!made) blame(entry->library->hash(), made.fault().message);
    return made;
}

core::Result<std::unique_ptr<routing::Policy>> Registry::make_policy(std::string_view component, std::string_view config, Wanted wanted) const
{
    const auto generation = current();
    const auto* entry = generation->find(component);
    if (!entry) return no_component(*generation, component, only_shipped());
    const auto& about = entry->library->manifest().components.at(entry->name);
    if (about.kind != PORTOLAN_POLICY) return wrong_request(entry->name + " is no policy but " + about.kind);
    const auto make = [&]() -> core::Result<std::unique_ptr<routing::Policy>> {
        auto completed = complete(about.config_schema, config);
        if (!completed.mistakes.empty()) return wrong_request(lines_of(completed.mistakes));
        auto instance = Instance::create(entry->library, entry->name, std::move(completed.json), limits());
        if (!instance) return instance.fault();
        return adapt_policy(std::move(*instance), entry->grants);
    };
    auto made = make();
    if (!made && wanted == Wanted::Serve) blame(entry->library->hash(), made.fault().message);
    return made;
}

std::vector<std::string> Registry::folders(const config::Plugins& plugins) const { return folders_of(plugins, shipped_dir_); }

std::vector<Loaded> Registry::list() const
{
    const std::lock_guard guard(lock_);
    auto rows = current_->rows;
    for (auto& row : rows)
        if (const auto it = current_->served.find(row.file); it != current_->served.end() && row.state == "serving") {
            row.instances = it->second.library->instances().load(std::memory_order_relaxed);
            row.restarts = it->second.library->restarts();
            if (it->second.library->callee().strikes.sits()) row.state = "benched";
        }
    for (const auto& leaving : leaving_)
        if (const auto n = leaving.library->instances().load(std::memory_order_relaxed)) {
            rows.push_back(leaving.row);
            rows.back().state = "draining", rows.back().instances = n, rows.back().error.clear();
        }
    return rows;
}

Retirements Registry::retirements() const
{
    const std::lock_guard guard(lock_);
    return retirements_;
}

std::vector<std::string> Registry::warnings() const { return current()->warnings; }

std::vector<StatsOf> Registry::stats() const
{
    std::vector<StatsOf> all;
    const auto add = [&all](const std::shared_ptr<const Library>& l) {
        if (std::any_of(all.begin(), all.end(), [&](const StatsOf& s) { return s.hash == l->hash(); })) return;
        all.push_back({l->manifest().id, l->hash(), std::shared_ptr<const PluginStats>(l, &l->callee().stats)});
    };
    const std::lock_guard guard(lock_);
    for (const auto& [file, served] : current_->served) add(served.library);
    for (const auto& leaving : leaving_) add(leaving.library);
    return all;
}

} // namespace plugin
