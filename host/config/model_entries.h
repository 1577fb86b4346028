// The models of a provider: what its entry says, with what the catalogue knows.
#pragma once

#include "config/providers.h"

namespace config {

/// Reads entry.models and entry.model into entry.provider.models, models_open and discover.
void read_models(ProviderEntry& entry, const ProviderSources& sources, const Preset* preset);

/// JSON Schema of one model in a list ("$defs/model"), and rows of its table for the documentation.
[[nodiscard]] std::string model_schema();
[[nodiscard]] std::string model_table_markdown();

} // namespace config
