// A plugin's file, mapped: from trusted bytes to its table of functions.
#pragma once

#include "plugin/calls.h"
#include "plugin/manifest.h"
#include "plugin/trust.h"

#include <memory>
#include <mutex>

namespace plugin {

/// [shared] Immutable but for its counters. Once mapped, code stays for the life of the process: unloading is not a promise that
/// shared libraries keep (thread-local destructors, unique symbols), and nothing here depends on it.
class Library {
public:
    /// [load] Reads the manifest, stages the file, maps the copy, asks for the table, compares. Equal bytes give the same Library.
    /// Fails as PluginFailed with the reason.
    static core::Result<std::shared_ptr<const Library>> load(const PluginFile&, const std::string& store);

    [[nodiscard]] const portolan_plugin& table() const noexcept { return table_; }
    [[nodiscard]] const Manifest& manifest() const noexcept { return manifest_; }
    [[nodiscard]] const std::string& hash() const noexcept { return hash_; }
    [[nodiscard]] Callee& callee() const noexcept { return callee_; }
    /// Held around create() and destroy(), which are [load].
    [[nodiscard]] std::mutex& load_lock() const noexcept { return load_; }

    Library(portolan_plugin table, Manifest manifest, std::string hash);

private:
    portolan_plugin table_;
    Manifest manifest_;
    std::string hash_;
    mutable Callee callee_;
    mutable std::mutex load_;
};

} // namespace plugin
