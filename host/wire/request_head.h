// The parser of request heads: llhttp, behind the pre-scan, and as a second opinion on it.
#pragma once

#include "wire/prescan.h"

#include <string_view>

namespace wire {

/// `head`: from the request line to the empty line, as the pre-scan left it. Fills method, version, target, path, query
/// and headers with views into it. False: the two do not agree on what it says.
[[nodiscard]] bool parse_request_head(std::string_view head, const HeadFacts& facts, RequestHead& out);

} // namespace wire
