// Base64 (RFC 4648, with padding).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace core {

std::string base64(std::string_view bytes);
/// With the letters for URLs and without padding (RFC 7515 section 2).
std::string base64url(std::string_view bytes);
/// Nothing for what is no base64; padding may be missing, and the letters may be those for URLs.
std::optional<std::string> from_base64(std::string_view text);

} // namespace core
