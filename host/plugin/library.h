// A plugin's file, mapped: from trusted bytes to its table of functions.
#pragma once

#include "plugin/calls.h"
#include "plugin/manifest.h"
#include "plugin/trust.h"

#include <atomic>
#include <memory>
#include <mutex>

namespace plugin {

/// [shared] Immutable but for its counters. Once mapped, code stays for the life of the process unless unload() is asked for.
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

    /// Components made from it that are still there: 0, and nothing runs in its code any more.
    [[nodiscard]] std::atomic<std::uint32_t>& instances() const noexcept { return instances_; }
    /// [load] Unmaps its code if nobody holds the Library but the caller, and says whether it really is gone from the process: thread-local
    /// destructors and unique symbols keep libraries mapped whatever is asked of the loader.
    static bool unload(std::shared_ptr<const Library>);

    Library(portolan_plugin table, Manifest manifest, std::string hash);

private:
    portolan_plugin table_;
    Manifest manifest_;
    std::string hash_;
    mutable Callee callee_;
    mutable std::mutex load_;
    mutable std::atomic<std::uint32_t> instances_{0};
};

} // namespace plugin
