// What is told of plugins: to people as JSON, to Prometheus as text.
#pragma once

#include "plugin/registry.h"

#include <string>

/// {"plugins":[{file, id, version, hash, state, error, grants, components, calls}], "warnings":[…]}
[[nodiscard]] std::string plugins_json(const plugin::Registry& registry);

/// portolan_plugin_calls_total{plugin,result} and portolan_plugin_duration_seconds{plugin} from the counters of the wall.
[[nodiscard]] std::string plugins_metrics(const plugin::Registry& registry);
