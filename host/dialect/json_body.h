// What is wrong with a request body as JSON, in OpenAI's words.
#pragma once

#include "core/fault.h"
#include "core/json_scan.h"
#include "core/result.h"

#include <optional>
#include <string_view>

namespace dialect {

/// What can be said before the body is read: not UTF-8, too large, no object. `scan` is at its beginning.
std::optional<core::Fault> unfit(std::string_view body, core::JsonScanner& scan);
/// Of a scan that has failed.
core::Fault json_fault(core::JsonScanner& scan);
/// A JSON object in UTF-8, no key twice, not too deep.
core::Status check_object(std::string_view body, std::size_t max_depth);

} // namespace dialect
