// Reads an OpenAI chat request: one strict pass over the body that checks it and notes what the host must know.
#pragma once

#include "core/result.h"
#include "dialect/chat_request.h"

namespace dialect {

/// BadRequest with `param` for what is wrong. `body` is borrowed by the result.
core::Result<ChatRequest> read_chat(std::string_view body, std::size_t max_depth);

} // namespace dialect
