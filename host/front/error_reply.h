// Errors that are answered before or beside inference, in the shape of the path's dialect.
#pragma once

#include "core/result.h"
#include "dialect/dialect.h"
#include "wire/server.h"

#include <string>
#include <string_view>

namespace front {

/// The language of those who use this path.
[[nodiscard]] const dialect::Dialect& dialect_of(std::string_view path);

/// The body of an error on this path.
[[nodiscard]] std::string error_body(const core::Fault& fault, std::string_view path);

/// Answers with the fault in that language, with x-request-id and, where it fits, Retry-After and Allow.
wire::Task<void> reply_error(wire::Exchange& exchange, const core::Fault& fault, std::string_view request_id, std::string_view allow = {});

} // namespace front
