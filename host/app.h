// The process: the one place that knows every room.
#pragma once

#include "build_runtime.h"
#include "config/catalog.h"
#include "config/load.h"
#include "config/watch.h"
#include "control/server.h"
#include "core/clock.h"
#include "catalog_refresh.h"
#include "front/context.h"
#include "learned_book.h"
#include "ledger/metrics.h"
#include "plugin/registry.h"
#include "plugin/watch.h"
#include "wire/server.h"

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

/// Where things are, worked out from the command line, the environment and the place of the binary.
struct Places {
    config::Sources sources;
    bool safe_start = false;     ///< plugins of the shipped folder only
    std::string shipped_plugins; ///< the folder of the plugins that come with this release
    std::string sdk_templates;   ///< what `plugin new` begins with; empty: no SDK is installed
};

class App {
public:
    explicit App(Places places, std::string version);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// Serves until SIGTERM or SIGINT; they and SIGHUP must be blocked in all threads. The exit code: 0 after a clean drain, 78 for a
    /// configuration that cannot be served, 1 for an address or folder that cannot be used.
    int serve();

private:
    bool load_first();
    void start();
    void announce() const;
    void wait_for_signals();
    void answer_reload();
    void tick();
    void plugins_changed();
    void watch_plugins(const config::Plugins& plugins);
    void drain();
    bool reload(std::string& why);          ///< false: the old configuration goes on, `why` says what is wrong
    bool rebuild(std::shared_ptr<const config::Config> config, std::string& why);
    void install(std::shared_ptr<const front::Runtime> runtime);
    void discover();
    void refresh_catalog();
    std::shared_ptr<const config::ModelCatalog> shipped_catalog() const;
    void describe_metrics();
    control::Services control_services();
    control::Reloaded request_reload();     ///< [shared] asks the main thread and waits for its answer
    std::shared_ptr<const front::Runtime> current() const;

    Places places_;
    const core::Clock& clock_ = core::system_clock();
    std::unique_ptr<config::FileWatch> watch_;
    std::optional<plugin::FolderWatch> plugin_watch_;
    bool refused_ = false;                  ///< the configuration on disk is not the one that serves
    std::unique_ptr<plugin::Registry> registry_;
    ledger::HealthBook health_;
    std::unique_ptr<LearnedBook> learned_;
    ledger::Metrics metrics_;
    ledger::Recent recent_;
    front::Services services_;
    wire::ServerCounters server_counters_;
    wire::ClientCounters client_counters_;

    mutable std::mutex mutex_;              ///< guards the next four; on a loop taken only to hand over a finished discovery
    std::shared_ptr<const front::Runtime> current_;
    Discovered discovered_;
    bool discovered_changed_ = false;
    std::vector<std::promise<control::Reloaded>> reloads_wanted_;

    std::vector<std::shared_ptr<const front::Runtime>> retired_; ///< held until no request uses them, so that plugins are ended here
    std::uint64_t generation_ = 0;
    std::unique_ptr<wire::Loops> loops_;
    std::vector<std::unique_ptr<front::LoopContext>> contexts_;
    std::unique_ptr<wire::Server> server_;
    std::unique_ptr<control::Server> control_;
    std::unique_ptr<CatalogRefresh> refresh_;
};
