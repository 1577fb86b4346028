// Percent-encoding (RFC 3986 section 2.1).
#pragma once

#include <string>
#include <string_view>

namespace core {

/// Everything but unreserved characters becomes %XX.
std::string percent_encoded(std::string_view s);

} // namespace core
