// The result of one scan of the plugin folders.
#pragma once

#include "plugin/adapters.h"
#include "plugin/registry.h"

#include <map>

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

    std::map<std::string, Entry> components; ///< by component_key
    std::map<std::string, Served> served;
    std::vector<Loaded> rows;
    std::vector<std::string> warnings;
};

/// [load] Looks through the folders; see Registry::load(). `before`: what served until now.
std::shared_ptr<const Generation> scan(const config::Plugins&, const std::string& store_dir, const std::string& shipped_dir, const Generation& before);

} // namespace plugin
