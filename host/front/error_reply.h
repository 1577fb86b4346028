// Errors that are answered before or beside inference, in the shape of the path's dialect.
#pragma once

#include "core/result.h"
#include "wire/server.h"

#include <string>
#include <string_view>

namespace front {

/// The JSON body for a fault on this path (OpenAI's envelope; others come with their dialects).
[[nodiscard]] std::string error_body(const core::Fault& fault, std::string_view path);

/// Answers with it, with x-request-id and, where it fits, Retry-After and Allow.
wire::Task<void> reply_error(wire::Exchange& exchange, const core::Fault& fault, std::string_view request_id, std::string_view allow = {});

} // namespace front
