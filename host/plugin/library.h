// A plugin's file, mapped: from trusted bytes to its table of functions.
#pragma once

#include "plugin/calls.h"
#include "plugin/isolated_process.h"
#include "plugin/manifest.h"
#include "plugin/trust.h"

#include <atomic>
#include <memory>
#include <mutex>

namespace plugin {

/// How a file is run.
struct Isolation {
    bool on = false;           ///< in a process of its own
    std::string program = {};  ///< portolan-plugin-host
    isolation::Limits limits = {};
};

/// [shared] Immutable but for its counters. Once mapped, code stays for the life of the process unless unload() is asked for.
class Library {
public:
    /// [load] Reads the manifest, stages the file, maps the copy, asks for the table, compares. Equal bytes give the same Library.
    /// Isolated, another process does the mapping, and nothing of the file runs here. Fails as PluginFailed with the reason.
    static core::Result<std::shared_ptr<const Library>> load(const PluginFile&, const std::string& store, const Isolation& = {});
    /// [load] Maps a file that is staged already: for the process of an isolated plugin.
    static core::Result<std::shared_ptr<const Library>> open(const std::string& staged);

    /// The table of its `component` for `face`, null if it has none; objects of it come from create().
    [[nodiscard]] const void* find(std::string_view component, std::string_view face) const noexcept;
    /// [load] Under load_lock().
    portolan_status create(const portolan_call*, std::string_view component, std::string_view config, void** self) const noexcept;
    void destroy(std::string_view component, void* self) const noexcept;
    /// What the plugin exports; empty places if it is isolated.
    [[nodiscard]] const portolan_plugin& table() const noexcept { return table_; }
    [[nodiscard]] bool isolated() const noexcept { return process_ != nullptr; }
    [[nodiscard]] std::uint64_t restarts() const noexcept { return process_ ? process_->restarts() : 0; }
    [[nodiscard]] const Manifest& manifest() const noexcept { return manifest_; }
    [[nodiscard]] const std::string& hash() const noexcept { return hash_; }
    [[nodiscard]] Callee& callee() const noexcept { return callee_; }
    /// Held around create() and destroy(), which are [load].
    [[nodiscard]] std::mutex& load_lock() const noexcept { return load_; }

    /// Components made from it that are still there: 0, and nothing runs in its code any more.
    [[nodiscard]] std::atomic<std::uint32_t>& instances() const noexcept { return instances_; }
    /// [load] Unmaps its code if nobody holds the Library but the caller, and says whether it really is gone from the process: thread-local
    /// destructors and unique symbols keep libraries mapped whatever is asked of the loader.
    /// The process of an isolated one ends, and that is always true.
    static bool unload(std::shared_ptr<const Library>);
    /// [load] Leaves its code mapped and gives up all else that is kept of it, if nobody holds the Library but the caller. Equal bytes that come
    /// again are another Library over the same code.
    static void give_up(std::shared_ptr<const Library>);

    Library(portolan_plugin table, Manifest manifest, std::string hash, std::unique_ptr<isolation::Process> process = nullptr,
            std::vector<std::string> learners = {});

private:
    portolan_plugin table_;
    Manifest manifest_;
    std::string hash_;
    const std::unique_ptr<isolation::Process> process_;
    const std::vector<std::string> learners_; ///< of an isolated one: its policies that learn
    mutable Callee callee_;
    mutable std::mutex load_;
    mutable std::atomic<std::uint32_t> instances_{0};
};

} // namespace plugin
