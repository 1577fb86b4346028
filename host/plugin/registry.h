// Which plugins are here: scans the folders, loads what it may, makes components out of it.
#pragma once

#include "config/config.h"
#include "core/result.h"
#include "dispatch/provider.h"
#include "plugin/crash.h"
#include "plugin/stats.h"
#include "routing/policy.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace plugin {

/// One component, for people.
struct ComponentInfo {
    std::string name, kind, title, config_schema; ///< kind: "portolan.provider/1"; config_schema: JSON
};

/// One file of the plugin folders (or a folder that cannot be used), for people.
struct Loaded {
    std::string file, id, version, hash;
    std::string state; ///< "serving", "refused", or "draining": it was replaced or removed and requests still run in it
                       ///< or "benched": it keeps failing and is called again only now and then
    std::string error; ///< why it is refused; beside "serving": why the changed file is not what serves, or that it is on probation
    std::vector<std::string> grants; ///< what it asked for and got
    std::vector<ComponentInfo> components;
    std::uint32_t instances = 0; ///< made from it and still there
    bool isolated = false;       ///< in a process of its own
    std::uint64_t restarts = 0;  ///< of that process
};

/// The counters of one plugin.
struct StatsOf {
    std::string id, hash;
    std::shared_ptr<const PluginStats> stats;
};

/// What became of libraries that were replaced or removed, since the process began.
struct Retirements {
    std::uint64_t retired = 0;      ///< drained: nothing runs in them any more
    std::uint64_t unloaded = 0;     ///< of those, really gone from the process
    std::uint64_t stayed_mapped = 0;///< of those, asked to go and still there
};

class Library;

struct CallLimits;

/// What one scan found. Immutable; what was made from it keeps its code by itself.
class Generation;

/// [shared] after construction; load() and make_*() are for threads that may block.
class Registry {
public:
    /// `store_dir`: where private copies of the files go. `shipped_dir`: the folder of the plugins that come with the host; it is scanned
    /// alone if plugins.dirs is empty, and what lies in it gets the grants that it asks for. Reads <store_dir>/crashes (crash.h).
    Registry(config::Plugins plugins, std::string store_dir, std::string shipped_dir);
    ~Registry();

    /// Scans all folders again. A broken file is listed with its reason and does not stop the others; if it served before, what it was
    /// then goes on serving. Of two components of one name the later folder's wins, said in a warning.
    std::shared_ptr<const Generation> load();
    /// The same under a changed configuration.
    std::shared_ptr<const Generation> load(config::Plugins plugins);
    /// If components of changed files could not be made since the last load(): brings back what those files were before, with the reason in
    /// list(), and returns true; then it is worth making them once more.
    bool bring_back();
    /// The last load() is of no use: what served before it serves again.
    void undo();
    /// Looks after what was replaced or removed: counts what has drained, unloads it if plugins.unload says "try". Cheap.
    void retire();
    [[nodiscard]] std::shared_ptr<const Generation> current() const;

    /// `component`: '-' and '_' are equal. `config`: JSON object. A `base_url` in it is the endpoint's, whether the component's schema
    /// names it or not. Fails as BadRequest (no such component; every mistake in the configuration, one a line), PluginFailed, or NoProvider
    /// if its file was removed while this process ran. Wanted::IfPossible: a failure says nothing against a file that changed.
    enum class Wanted : std::uint8_t { Serve, IfPossible };
    [[nodiscard]] core::Result<std::unique_ptr<dispatch::Provider>> make_provider(std::string_view component, std::string_view config) const;
    [[nodiscard]] core::Result<std::unique_ptr<routing::Policy>> make_policy(std::string_view component, std::string_view config,
                                                                            Wanted = Wanted::Serve) const;

    [[nodiscard]] std::vector<std::string> folders(const config::Plugins&) const; ///< that load() would look into, for whoever watches them
    [[nodiscard]] std::vector<Loaded> list() const;
    [[nodiscard]] Retirements retirements() const;
    [[nodiscard]] std::vector<std::string> warnings() const;
    [[nodiscard]] std::vector<StatsOf> stats() const;

private:
    std::shared_ptr<const Generation> scan_again(const std::shared_ptr<const Generation>& before);
    CallLimits limits() const;
    bool only_shipped() const;
    void blame(const std::string& hash, const std::string& why) const;
    void replace(std::shared_ptr<const Generation> next);

    const std::string store_dir_, shipped_dir_, host_program_;
    std::mutex loading_; ///< one scan at a time
    mutable std::mutex lock_;
    config::Plugins plugins_;
    std::shared_ptr<const Generation> current_, before_; ///< before_: what served before the last load()
    std::map<std::string, std::string> rejected_;        ///< SHA-256 -> why it was brought back; until the next load()
    mutable std::map<std::string, std::string> failed_;          ///< SHA-256 -> why a component could not be made of it
    struct Leaving {
        std::shared_ptr<const Library> library;
        Loaded row;
    };
    const std::map<std::string, Crashes> crashes_;
    std::vector<Leaving> leaving_;                       ///< replaced or removed, not yet drained
    Retirements retirements_;
};

} // namespace plugin
