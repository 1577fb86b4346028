// The shipped presets: what is known of a provider before anybody configures it. One YAML file each in config/presets.
#pragma once

#include "config/environment.h"
#include "config/keys.h"

namespace config {

/// All files of `folder`/presets, by name. What is wrong with them is noted like any other problem; an absent folder is a warning.
[[nodiscard]] std::vector<Preset> read_presets(const std::string& folder, std::vector<Problem>& problems);

/// The preset that has this name or alias; nullptr: none.
[[nodiscard]] const Preset* find_preset(const std::vector<Preset>& presets, std::string_view name);

/// What OLLAMA_HOST and its kind may hold ("0.0.0.0", "host:11434", a URL) as a base URL; what is missing comes from `like`.
[[nodiscard]] std::string url_from_variable(std::string_view value, std::string_view like);

/// Providers that the environment alone makes: one for each preset whose key (or, for a local one, address) is set, and "upstream" out
/// of UPSTREAM_BASE_URL. Each is an entry as it could stand in the file, with what made it ("env GROQ_API_KEY").
[[nodiscard]] std::vector<std::pair<Node, std::string>> providers_from_environment(const std::vector<Preset>& presets,
                                                                                   const Environment& environment);

} // namespace config
