// Keys: where they are read from, and what a usable one looks like.
#pragma once

#include "config/environment.h"
#include "config/keys.h"

namespace config {

/// Where keys come from, and where mistakes go.
struct KeySources {
    const Environment& environment;
    const std::string& folder; ///< relative paths start here
    std::vector<Problem>& problems;
    std::vector<std::string>& files; ///< what was read is added
};

/// No spaces and no control bytes in it, so that it fits into a header as it is; or a JSON object on one line.
[[nodiscard]] bool is_usable_key(std::string_view key) noexcept;

/// A key given as itself, as the name of a variable or as a file, in this order. value is empty if there is none; unusable and
/// unreadable ones, and more than one at once, are problems. A variable that is not set is none: `missing` gets its name.
[[nodiscard]] Secret read_key(const std::string& key, const std::string& key_env, const std::string& key_file, const Where& where,
                              const std::string& path, const KeySources& sources, std::string* missing);

/// Keys, mode and the address that they protect.
void settle_auth(Draft& draft, bool has_file, const KeySources& sources);

/// 127/8, ::1 and localhost.
[[nodiscard]] bool is_loopback(std::string_view host) noexcept;

} // namespace config
