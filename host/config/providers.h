// From an entry of providers to a provider: preset, key, models and their facts, the plugin's settings.
#pragma once

#include "config/catalog.h"
#include "config/presets.h"
#include "config/secrets.h"

namespace config {

/// What an entry is completed with.
struct ProviderSources {
    const std::vector<Preset>& presets;
    const ModelCatalog* catalog; ///< nullptr: there is none
    std::string today;           ///< "YYYY-MM-DD", for models that are switched off; empty: nobody asks
    KeySources keys;
};

/// The start values of an entry whose type names a preset (v is the reader, in that entry).
void prefill(ProviderEntry& entry, Visitor& v, const std::vector<Preset>& presets, const Environment& environment);

/// Completes the entries and puts providers, unusable and model aliases into draft.config. Adds the echo provider if there is nothing
/// else.
void settle_providers(Draft& draft, const ProviderSources& sources);

} // namespace config
