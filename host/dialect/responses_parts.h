// Pieces of the OpenAI Responses dialect.
#pragma once

#include "core/json_tree.h"
#include "dialect/dialect.h"

#include <memory>

namespace dialect {

/// A valid Responses request in the hub form. What needs state is refused there.
HubForm responses_hub(core::JsonValue root, bool plain);

std::unique_ptr<AnswerWriter> responses_writer(bool stream);

} // namespace dialect
