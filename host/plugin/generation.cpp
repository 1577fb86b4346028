// Scanning: folder by folder, file by file.
#include "plugin/generation.h"

#include "core/log.h"
#include "core/text.h"

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
               .components = {}};
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
    Scan(const config::Plugins& plugins, const std::string& store, const Generation& before)
        : plugins_(plugins), store_(store), before_(before), found_(std::make_shared<Generation>())
    {
    }

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
    std::shared_ptr<const Generation> done() { return std::move(found_); }

private:
    void file(const std::string& path, const Folder& folder, const std::string& name, bool shipped)
    {
        if (auto library = load(folder, name)) {
            auto grants = granted((*library)->manifest(), plugins_, shipped);
            serve(*library, row_of(path, **library, std::move(grants)));
        } else
            broken(path, library.fault().message, shipped);
    }
    core::Result<std::shared_ptr<const Library>> load(const Folder& folder, const std::string& name) const
    {
        const auto file = folder.read(name, plugins_.allow);
        if (!file) return file.fault();
        return Library::load(*file, store_);
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

    const config::Plugins& plugins_;
    const std::string& store_;
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

std::shared_ptr<const Generation> scan(const config::Plugins& plugins, const std::string& store_dir, const std::string& shipped_dir,
                                       const Generation& before)
{
    Scan scan(plugins, store_dir, before);
    const auto trust = trust_of(plugins.trust);
    if (!trust) core::log::error(trust.fault().message + "; pinned is used");
    const auto dirs = plugins.dirs.empty() ? std::vector<std::string>{shipped_dir} : plugins.dirs;
    for (const auto& dir : dirs) scan.folder(dir, trust ? *trust : Trust::Pinned, same_folder(dir, shipped_dir));
    return scan.done();
}

} // namespace plugin
