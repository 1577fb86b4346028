// Mapping: the one place that knows Boost.DLL.
#include "plugin/library.h"

#include "core/log.h"
#include "plugin/elf.h"
#include "plugin/isolated_tables.h"
#include "plugin/staging.h"

#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

namespace plugin {

namespace {

namespace dll = boost::dll;

core::Fault refused(std::string why) { return {.kind = core::FaultKind::PluginFailed, .message = std::move(why)}; }

struct Mapped {
    dll::shared_library code;
    std::shared_ptr<const Library> library; ///< null: it was refused after it had been mapped
};

/// All code that was ever mapped, by its content and how it runs. Never destroyed, so that nothing is unmapped when the process ends either.
struct MappedSet {
    std::mutex lock;
    std::map<std::string, Mapped> by_key;
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

Library::Library(portolan_plugin table, Manifest manifest, std::string hash, std::unique_ptr<isolation::Process> process, std::vector<std::string> learners)
    : table_(table), manifest_(std::move(manifest)), hash_(std::move(hash)), process_(std::move(process)), learners_(std::move(learners)), callee_{manifest_.id, hash_}
{
}

const void* Library::find(std::string_view component, std::string_view face) const noexcept
{
    if (!process_) return table_.find(to_abi(component), to_abi(face));
    const auto it = manifest_.components.find(std::string(component));
    const bool learns = std::find(learners_.begin(), learners_.end(), component) != learners_.end();
    return it != manifest_.components.end() && it->second.kind == face ? isolation::table_of(face, learns) : nullptr;
}

portolan_status Library::create(const portolan_call* call, std::string_view component, std::string_view config, void** self) const noexcept
{
    return process_ ? isolation::create_remote(*process_, call, component, config, self) : table_.create(call, to_abi(component), to_abi(config), self);
}

void Library::destroy(std::string_view component, void* self) const noexcept
{
    process_ ? isolation::destroy_remote(self) : table_.destroy(to_abi(component), self);
}

namespace {

/// Maps the code of `path` if it is not mapped yet; its table, whose manifest is `said`.
core::Result<portolan_plugin> map_code(dll::shared_library& code, const std::string& path, std::string_view said)
{
    if (!code.is_loaded()) {
        try {
            code.load(path, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
        } catch (const std::exception& error) { // Boost.DLL says what dlerror() said only this way
            return refused(std::string("cannot be mapped: ") + error.what());
        }
    }
    if (!code.has("portolan_plugin_v1")) return refused("does not export portolan_plugin_v1");
    return adopt(code.get<const portolan_plugin*()>("portolan_plugin_v1")(), said);
}

/// A process that has mapped it and says the same manifest.
core::Result<std::pair<std::unique_ptr<isolation::Process>, isolation::Hello>> start_process(const Isolation& isolation, const std::string& staged, std::string_view said,
                                                                                             const std::string& id)
{
    auto process = std::make_unique<isolation::Process>(isolation.program, staged, isolation.limits);
    const auto hello = process->start();
    if (!hello) return hello.fault();
    if (hello->manifest != said) return refused("the manifests in its section and in its table differ");
    if (!hello->landlock) core::log::warn("plugin " + id + ": this kernel has no Landlock, files are kept from it by the system call filter alone");
    return std::pair{std::move(process), *hello};
}

/// The same content in another way of running is another library.
std::string key_of(const PluginFile& file, const Isolation& i)
{
    if (!i.on) return file.sha256;
    return file.sha256 + " isolated " + std::to_string(i.limits.memory_mb) + ' ' + std::to_string(i.limits.threads) + ' ' + std::to_string(i.limits.call_ms);
}

} // namespace

core::Result<std::shared_ptr<const Library>> Library::load(const PluginFile& file, const std::string& store, const Isolation& isolation)
{
    auto& set = mapped_set();
    const std::lock_guard guard(set.lock);
    auto& mapped = set.by_key[key_of(file, isolation)];
    if (mapped.library) return mapped.library;

    const auto said = manifest_of(file.bytes);
    if (!said) return said.fault();
    auto manifest = parse_manifest(*said);
    if (!manifest) return manifest.fault();
    const auto staged = stage(file, store);
    if (!staged) return staged.fault();
    if (isolation.on) {
        auto process = start_process(isolation, *staged, *said, manifest->id);
        if (!process) return process.fault();
        auto& [running, hello] = *process;
        mapped.library = std::make_shared<const Library>(portolan_plugin{}, std::move(*manifest), file.sha256, std::move(running), hello.learners);
        return mapped.library;
    }
    const auto table = map_code(mapped.code, *staged, *said);
    if (!table) return table.fault();
    mapped.library = std::make_shared<const Library>(*table, std::move(*manifest), file.sha256);
    return mapped.library;
}

core::Result<std::shared_ptr<const Library>> Library::open(const std::string& staged)
{
    std::ifstream in(staged, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const auto said = manifest_of(bytes);
    if (!said) return said.fault();
    auto manifest = parse_manifest(*said);
    if (!manifest) return manifest.fault();
    auto& set = mapped_set();
    const std::lock_guard guard(set.lock);
    auto& mapped = set.by_key[staged];
    const auto table = map_code(mapped.code, staged, *said);
    if (!table) return table.fault();
    mapped.library = std::make_shared<const Library>(*table, std::move(*manifest), "");
    return mapped.library;
}

void Library::give_up(std::shared_ptr<const Library> library)
{
    auto& set = mapped_set();
    const std::lock_guard guard(set.lock);
    for (auto& [key, mapped] : set.by_key)
        if (mapped.library == library && library.use_count() <= 2) return mapped.library.reset();
}

bool Library::unload(std::shared_ptr<const Library> library)
{
    auto& set = mapped_set();
    const std::lock_guard guard(set.lock);
    const auto it = std::find_if(set.by_key.begin(), set.by_key.end(), [&](const auto& entry) { return entry.second.library == library; });
    if (it == set.by_key.end() || library.use_count() > 2) return false;
    const auto path = library->isolated() ? std::string() : it->second.code.location().string();
    set.by_key.erase(it);
    if (path.empty()) return true; // with the last reference, which is the caller's
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find(path) != line.npos) return false;
    return true;
}

} // namespace plugin
