// Mapping: the one place that knows Boost.DLL.
#include "plugin/library.h"

#include "plugin/elf.h"
#include "plugin/staging.h"

#include <boost/dll/shared_library.hpp>

#include <fstream>
#include <map>

namespace plugin {

namespace {

namespace dll = boost::dll;

core::Fault refused(std::string why) { return {.kind = core::FaultKind::PluginFailed, .message = std::move(why)}; }

struct Mapped {
    dll::shared_library code;
    std::shared_ptr<const Library> library; ///< null: it was refused after it had been mapped
};

/// All code that was ever mapped, by its hash. Never destroyed, so that nothing is unmapped when the process ends either.
struct MappedSet {
    std::mutex lock;
    std::map<std::string, Mapped> by_hash;
};
MappedSet& mapped_set()
{
    static auto& set = *new MappedSet;
    return set;
}

/// The table, checked and copied; `said` is the manifest of the section.
core::Result<portolan_plugin> adopt(const portolan_plugin* table, std::string_view said)
{
    if (!table) return refused("the plugin refuses to run here");
    if (table->draft != PORTOLAN_DRAFT) // struct_size and draft never move
        return refused("built for draft " + std::to_string(table->draft) + " of the interface, this host has " + std::to_string(PORTOLAN_DRAFT) +
                       ": rebuild it with this release's headers");
    if (!PORTOLAN_HAS(table, destroy)) return refused("its table is too short");
    const auto copy = take(table);
    if (!copy.find || !copy.create || !copy.destroy) return refused("its table has empty places");
    if (view(copy.manifest) != said) return refused("the manifests in its section and in its table differ");
    return copy;
}

} // namespace

Library::Library(portolan_plugin table, Manifest manifest, std::string hash)
    : table_(table), manifest_(std::move(manifest)), hash_(std::move(hash)), callee_{manifest_.id, hash_}
{
}

core::Result<std::shared_ptr<const Library>> Library::load(const PluginFile& file, const std::string& store)
{
    auto& set = mapped_set();
    const std::lock_guard guard(set.lock);
    auto& mapped = set.by_hash[file.sha256];
    if (mapped.library) return mapped.library;

    const auto said = manifest_of(file.bytes);
    if (!said) return said.fault();
    auto manifest = parse_manifest(*said);
    if (!manifest) return manifest.fault();
    if (!mapped.code.is_loaded()) {
        const auto staged = stage(file, store);
        if (!staged) return staged.fault();
        try {
            mapped.code.load(*staged, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
        } catch (const std::exception& error) { // Boost.DLL says what dlerror() said only this way
            return refused(std::string("cannot be mapped: ") + error.what());
        }
    }
    if (!mapped.code.has("portolan_plugin_v1")) return refused("does not export portolan_plugin_v1");
    const auto table = adopt(mapped.code.get<const portolan_plugin*()>("portolan_plugin_v1")(), *said);
    if (!table) return table.fault();
    mapped.library = std::make_shared<const Library>(*table, std::move(*manifest), file.sha256);
    return mapped.library;
}

bool Library::unload(std::shared_ptr<const Library> library)
{
    auto& set = mapped_set();
    const std::lock_guard guard(set.lock);
    const auto it = set.by_hash.find(library->hash());
    if (it == set.by_hash.end() || it->second.library != library || library.use_count() > 2) return false;
    const auto path = it->second.code.location().string();
    set.by_hash.erase(it);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find(path) != line.npos) return false;
    return true;
}

} // namespace plugin
