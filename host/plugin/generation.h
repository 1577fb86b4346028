// The result of one scan of the plugin folders.
#pragma once

#include "plugin/adapters.h"
#include "plugin/crash.h"
#include "plugin/registry.h"

#include <map>
#include <set>

namespace plugin {

/// '-' and '_' are the same in a component's name.
std::string component_key(std::string_view name);

class Generation {
public:
    struct Entry {
        std::string name;    ///< as the manifest writes it
        std::string file;
        std::shared_ptr<const Library> library;
        Grants grants;
    };
    /// A file that serves, by its path.
    struct Served {
        std::shared_ptr<const Library> library;
        Loaded row;
    };

    /// The component of that name; null if there is none, then nearest() may help.
    [[nodiscard]] const Entry* find(std::string_view component) const;
    /// The component name that `name` is most likely a slip of; empty if none is near.
    [[nodiscard]] std::string nearest(std::string_view name) const;
    [[nodiscard]] bool has_hash(const std::string& hash) const;

    std::map<std::string, Entry> components; ///< by component_key
    std::map<std::string, Served> served;
    std::set<std::string> gone;              ///< keys of components that served in an earlier generation and have no file any more
    std::vector<Loaded> rows;
    std::vector<std::string> warnings;
};

struct ScanPlan {
    const config::Plugins& plugins;
    const std::string& store_dir;
    const std::string& shipped_dir;
    const std::string& host_program;                        ///< portolan-plugin-host
    const Generation& before;                               ///< what served until now
    const std::map<std::string, Crashes>& crashes;          ///< what ended earlier processes, by SHA-256
    const std::map<std::string, std::string>& rejected;     ///< SHA-256 -> why files of that content may not serve
};

/// [load] Looks through the folders; see Registry::load().
std::shared_ptr<const Generation> scan(const ScanPlan&);

/// The folders that a scan looks into.
std::vector<std::string> folders_of(const config::Plugins&, const std::string& shipped_dir);

} // namespace plugin
