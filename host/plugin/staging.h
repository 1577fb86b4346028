// Private copies of plugin files, named by their content: the only files that are ever mapped.
#pragma once

#include "plugin/trust.h"

#include <set>

namespace plugin {

/// Puts the bytes into <store>/<sha256>/<name> (folders 0700, file 0500) and returns that absolute path. A copy that is there already is
/// used only if its content still has the hash; else it is replaced. Fails as PluginFailed.
core::Result<std::string> stage(const PluginFile&, const std::string& store);

/// Removes the copies in the store whose hash is not among `keep`. What is mapped stays mapped.
void purge(const std::string& store, const std::set<std::string>& keep);

} // namespace plugin
