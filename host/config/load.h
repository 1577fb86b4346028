// From files and variables to one effective configuration, or to a list of everything that is wrong with them.
#pragma once

#include "config/config.h"
#include "config/environment.h"
#include "config/problem.h"

namespace config {

struct Sources {
    std::string file;               ///< empty: PORTOLAN_CONFIG, LLMROUTER_CONFIG, else portolan.yaml in cwd if there is one
    Environment environment;        ///< the process's; stands over cwd/.env
    std::string cwd;                ///< what relative paths start from
    std::string shipped_config_dir; ///< presets/, catalog.json, drop_params.yaml
    std::string today;              ///< "YYYY-MM-DD": models switched off by then are left out; empty: all stay
};

struct Loaded {
    std::shared_ptr<const Config> config; ///< nullptr if one of the problems is an error
    std::vector<Problem> problems;        ///< errors and warnings, as they were found
};

/// Where a catalogue from catalog.refresh_url is kept.
[[nodiscard]] inline std::string fetched_catalog(const std::string& data_dir, const std::string& cwd)
{
    return in_folder(in_folder(cwd, data_dir), "catalog.json");
}

/// [load] Reads everything anew; touches files, no network. Never throws for what stands in files or variables.
[[nodiscard]] Loaded load(const Sources& sources);

} // namespace config
