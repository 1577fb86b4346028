// From a configuration and the loaded plugins to what requests are served with.
#pragma once

#include "config/config.h"
#include "front/runtime.h"
#include "ledger/health.h"
#include "plugin/registry.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

/// Models that open providers said they have, by provider name; found while running.
using Discovered = std::map<std::string, std::vector<config::ModelFacts>>;

struct BuiltRuntime {
    std::shared_ptr<const front::Runtime> runtime; ///< null if there are problems
    std::vector<std::string> problems;             ///< all of them
};

/// [load] Makes the plugin instances of a generation.
[[nodiscard]] BuiltRuntime build_runtime(std::shared_ptr<const config::Config> config, plugin::Registry& registry, ledger::HealthBook& health,
                                         const Discovered& discovered, std::uint64_t generation, std::int64_t unix_us);
