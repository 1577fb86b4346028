// Makes the catalogue out of LiteLLM's public price list.
#pragma once

#include "core/result.h"

#include <string>
#include <string_view>

namespace config {

struct BuiltCatalog {
    std::string text;   ///< config/catalog.json
    std::string report; ///< for people: what was taken, left out and repaired
    std::size_t models = 0;
};

/// json: the text of model_prices_and_context_window.json. today ("YYYY-MM-DD"): models that were switched off by then are left out.
/// The result depends on the arguments only. A Fault if json is no such list.
[[nodiscard]] core::Result<BuiltCatalog> build_catalog(std::string_view json, std::string_view today);

} // namespace config
