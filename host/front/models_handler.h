// GET /v1/models and /v1/models/{id}.
#pragma once

#include "front/runtime.h"
#include "wire/server.h"

#include <string>
#include <string_view>

namespace front {

/// %XX decoded; what is malformed stays as it is.
[[nodiscard]] std::string decoded(std::string_view s);

/// OpenAI's list; Anthropic's envelope when the client sends anthropic-version; Gemini's below /v1beta.
wire::Task<void> list_models(wire::Exchange& exchange, const Runtime& runtime, std::string_view request_id);
/// `id` as in the path: percent-encoded slashes are understood. 404 model_not_found.
wire::Task<void> show_model(wire::Exchange& exchange, const Runtime& runtime, std::string_view id, std::string_view request_id);

} // namespace front
