// Adds an account's key to a request, the way the plugin's manifest says.
#pragma once

#include "core/result.h"
#include "dispatch/provider.h"

#include <string>
#include <utility>
#include <vector>

namespace upstream {

/// Adds a header, or a query parameter to `target`. An empty key adds nothing (servers without authentication). Fails with Internal
/// for a scheme that this host does not know.
[[nodiscard]] core::Status add_credentials(const dispatch::AuthScheme& scheme, const std::string& key, std::string& target,
                                           std::vector<std::pair<std::string, std::string>>& headers);

} // namespace upstream
