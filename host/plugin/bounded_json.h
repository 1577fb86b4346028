// JSON that somebody else wrote, read with limits.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace plugin {

/// [shared] Parses at most 1 MiB of JSON nested at most 64 deep (deeper values would overflow the stack when copied).
/// Nothing if it is no such JSON; then `why` says what and where.
std::optional<nlohmann::json> parse_bounded(std::string_view text, std::string& why);

/// "/components" + "a/b" = "/components/a~1b" (RFC 6901).
std::string below(std::string_view pointer, std::string_view member);

} // namespace plugin
