// Scanning: folder by folder, file by file.
#include "plugin/generation.h"

#include "core/log.h"
#include "core/text.h"
#include "plugin/elf.h"

#include <algorithm>
#include <filesystem>

namespace plugin {

namespace {

bool same_folder(const std::string& a, const std::string& b)
{
    std::error_code ec;
    return !a.empty() && !b.empty() && std::filesystem::equivalent(a, b, ec) && !ec;
}

/// What the manifest asks for and the operator (or, for shipped ones, the host) gives.
std::vector<std::string> granted(const Manifest& manifest, const config::Plugins& plugins, bool shipped)
{
    if (shipped) return manifest.grants;
    std::vector<std::string> both;
    const auto given = plugins.grants.find(manifest.id);
    if (given == plugins.grants.end()) return both;
    for (const auto& grant : manifest.grants)
        if (std::find(given->second.begin(), given->second.end(), grant) != given->second.end()) both.push_back(grant);
    return both;
}

Loaded row_of(const std::string& file, const Library& library, std::vector<std::string> grants)
{
    const auto& m = library.manifest();
    Loaded row{.file = file, .id = m.id, .version = m.version, .hash = library.hash(), .state = "serving", .error = {}, .grants = std::move(grants),
               .components = {}, .isolated = library.isolated()};
    for (const auto& [name, c] : m.components) row.components.push_back({name, c.kind, c.title, c.config_schema});
    return row;
}

Loaded refused_row(const std::string& file, std::string why)
{
    return {.file = file, .id = {}, .version = {}, .hash = {}, .state = "refused", .error = std::move(why), .grants = {}, .components = {}};
}

/// One scan in the making.
class Scan {
public:
    explicit Scan(const ScanPlan& plan) : plan_(plan), plugins_(plan.plugins), before_(plan.before), found_(std::make_shared<Generation>()) {}

    void folder(const std::string& path, Trust trust, bool shipped)
    {
        const auto opened = Folder::open(path, trust);
        if (!opened) {
            core::log::warn("plugin folder " + path + ": " + opened.fault().message);
            found_->warnings.push_back("plugin folder " + path + ": " + opened.fault().message);
            found_->rows.push_back(refused_row(path, opened.fault().message));
            return;
        }
        for (const auto& name : opened->libraries()) file((std::filesystem::path(path) / name).string(), *opened, name, shipped);
    }
    std::shared_ptr<const Generation> done()
    {
        for (const auto& [key, entry] : before_.components) found_->gone.insert(key);
        found_->gone.insert(before_.gone.begin(), before_.gone.end());
        for (const auto& [key, entry] : found_->components) found_->gone.erase(key);
        return std::move(found_);
    }

private:
    void file(const std::string& path, const Folder& folder, const std::string& name, bool shipped)
    {
        if (auto library = load(folder, name, shipped)) {
            auto row = row_of(path, **library, granted((*library)->manifest(), plugins_, shipped));
            if (const auto it = plan_.crashes.find(row.hash); it != plan_.crashes.end())
                row.error = "on probation: it ended the process before, in " + it->second.last, core::log::warn("plugin " + path + " is " + row.error);
            serve(*library, std::move(row));
        } else
            broken(path, library.fault().message, shipped);
    }
    /// Whatever is not "none" is the safe side: a process.
    Isolation isolation_of(const std::string& name, bool shipped) const
    {
        auto said = plugins_.isolation.find(name);
        if (said == plugins_.isolation.end() && !shipped) said = plugins_.isolation.find("*");
        if (said == plugins_.isolation.end() || said->second == "none") return {};
        return {true, plan_.host_program, {plugins_.isolated_memory_mb, plugins_.isolated_threads, plugins_.isolated_call_ms}};
    }
    core::Result<std::shared_ptr<const Library>> load(const Folder& folder, const std::string& name, bool shipped) const
    {
        const auto file = folder.read(name, {plugins_.allow, plugins_.signers});
        if (!file) return file.fault();
        if (const auto it = plan_.crashes.find(file->sha256); it != plan_.crashes.end() && it->second.times >= quarantine_after)
            return quarantined(*file, it->second);
        if (const auto no = plan_.rejected.find(file->sha256); no != plan_.rejected.end())
            return core::Fault{.kind = core::FaultKind::PluginFailed, .message = no->second};
        return Library::load(*file, plan_.store_dir, isolation_of(name, shipped));
    }
    /// Its components count as removed: a provider that needs one is out of use, and the others serve.
    core::Fault quarantined(const PluginFile& file, const Crashes& crashes) const
    {
        if (const auto said = manifest_of(file.bytes))
            if (const auto manifest = parse_manifest(*said))
                for (const auto& [name, about] : manifest->components) found_->gone.insert(component_key(name));
        return {.kind = core::FaultKind::PluginFailed,
                .message = "in quarantine: this content ended the process " + std::to_string(crashes.times) + " times, last in " + crashes.last +
                           "; a changed file is loaded again"};
    }
    /// The file is no good: what it was before goes on, if it was anything.
    void broken(const std::string& path, const std::string& why, bool shipped)
    {
        core::log::warn("plugin " + path + ": " + why);
        const auto old = before_.served.find(path);
        if (old == before_.served.end()) return void(found_->rows.push_back(refused_row(path, why)));
        const auto library = old->second.library;
        auto row = row_of(path, *library, granted(library->manifest(), plugins_, shipped));
        row.error = "the changed file was refused, the version before it goes on: " + why;
        serve(library, std::move(row));
    }
    void serve(const std::shared_ptr<const Library>& library, Loaded row)
    {
        const auto has = [&](const char* grant) { return std::find(row.grants.begin(), row.grants.end(), grant) != row.grants.end(); };
        const Grants grants{has("content"), has("subcall")};
        for (const auto& [name, about] : library->manifest().components) {
            auto& entry = found_->components[component_key(name)];
            if (entry.library) {
                auto text = "component " + name + " of " + entry.file + " is replaced by the one of " + row.file;
                core::log::warn(text);
                found_->warnings.push_back(std::move(text));
            }
            entry = {name, row.file, library, grants};
        }
        found_->rows.push_back(row);
        auto file = row.file;
        found_->served[std::move(file)] = {library, std::move(row)};
    }

    const ScanPlan& plan_;
    const config::Plugins& plugins_;
    const Generation& before_;
    std::shared_ptr<Generation> found_;
};

} // namespace

std::string component_key(std::string_view name)
{
    std::string key(name);
    std::replace(key.begin(), key.end(), '-', '_');
    return key;
}

const Generation::Entry* Generation::find(std::string_view component) const
{
    const auto it = components.find(component_key(component));
    return it == components.end() ? nullptr : &it->second;
}

std::string Generation::nearest(std::string_view name) const
{
    std::vector<std::string_view> names;
    for (const auto& [key, entry] : components) names.push_back(entry.name);
    return std::string(core::nearest(name, names));
}

bool Generation::has_hash(const std::string& hash) const
{
    return std::any_of(served.begin(), served.end(), [&](const auto& s) { return s.second.library->hash() == hash; });
}

std::vector<std::string> folders_of(const config::Plugins& plugins, const std::string& shipped_dir)
{
    return plugins.dirs.empty() || plugins.only_shipped ? std::vector<std::string>{shipped_dir} : plugins.dirs;
}

std::shared_ptr<const Generation> scan(const ScanPlan& plan)
{
    Scan scan(plan);
    const auto trust = trust_of(plan.plugins.trust);
    if (!trust) core::log::error(trust.fault().message + "; pinned is used");
    for (const auto& dir : folders_of(plan.plugins, plan.shipped_dir))
        scan.folder(dir, trust ? *trust : Trust::Pinned, same_folder(dir, plan.shipped_dir));
    return scan.done();
}

} // namespace plugin
