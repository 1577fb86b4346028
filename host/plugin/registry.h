// Which plugins are here: scans the folders, loads what it may, makes components out of it.
#pragma once

#include "config/config.h"
#include "core/result.h"
#include "dispatch/provider.h"
#include "plugin/stats.h"
#include "routing/policy.h"

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
    std::string state; ///< "serving" or "refused"
    std::string error; ///< why it is refused; beside "serving": why the changed file is not what serves
    std::vector<std::string> grants; ///< what it asked for and got
    std::vector<ComponentInfo> components;
};

/// The counters of one plugin; good for the life of the process.
struct StatsOf {
    std::string id, hash;
    const PluginStats* stats;
};

/// What one scan found. Immutable; what was made from it keeps its code by itself.
class Generation;

/// [shared] after construction; load() and make_*() are for threads that may block.
class Registry {
public:
    /// `store_dir`: where private copies of the files go. `shipped_dir`: the folder of the plugins that come with the host; it is scanned
    /// alone if plugins.dirs is empty, and what lies in it gets the grants that it asks for.
    Registry(config::Plugins plugins, std::string store_dir, std::string shipped_dir);
    ~Registry();

    /// Scans all folders again. A broken file is listed with its reason and does not stop the others; if it served before, what it was
    /// then goes on serving. Of two components of one name the later folder's wins, said in a warning.
    std::shared_ptr<const Generation> load();
    /// The same under a changed configuration.
    std::shared_ptr<const Generation> load(config::Plugins plugins);
    [[nodiscard]] std::shared_ptr<const Generation> current() const;

    /// `component`: '-' and '_' are equal. `config`: JSON object. A `base_url` in it is the endpoint's, whether the component's schema
    /// names it or not. Fails as BadRequest (no such component; every mistake in the configuration, one a line) or PluginFailed.
    [[nodiscard]] core::Result<std::unique_ptr<dispatch::Provider>> make_provider(std::string_view component, std::string_view config) const;
    [[nodiscard]] core::Result<std::unique_ptr<routing::Policy>> make_policy(std::string_view component, std::string_view config) const;

    [[nodiscard]] std::vector<Loaded> list() const;
    [[nodiscard]] std::vector<std::string> warnings() const;
    [[nodiscard]] std::vector<StatsOf> stats() const;

private:
    const std::string store_dir_, shipped_dir_;
    std::mutex loading_; ///< one scan at a time
    mutable std::mutex lock_;
    config::Plugins plugins_;
    std::shared_ptr<const Generation> current_;
};

} // namespace plugin
