// Routes, names and rules of a draft: checked and put into its configuration.
#pragma once

#include "config/keys.h"

namespace config {

/// Fills config.routes (with `auto` in front if nobody configured it) and config.routing, then looks for names that collide: providers
/// and their aliases among each other; routes and model aliases among each other and with providers and written models.
void settle_routes(Draft& draft, std::vector<Problem>& problems);

/// Adds rules whose pattern is a regular expression; others are problems.
void add_drop_rules(Config& config, const std::vector<DropEntry>& drops, std::vector<Problem>& problems);

} // namespace config
