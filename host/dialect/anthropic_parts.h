// Pieces of the Anthropic Messages dialect.
#pragma once

#include "core/json_tree.h"
#include "dialect/dialect.h"

#include <memory>
#include <string>

namespace dialect {

/// A valid Messages request in the hub form.
HubForm anthropic_hub(core::JsonValue root, bool plain);

std::unique_ptr<AnswerWriter> anthropic_writer(bool stream);

/// {"type":"error",…}: the body of an error and the data of an error event.
std::string anthropic_error(const core::Fault& fault, const std::vector<AttemptNote>& attempts);
[[nodiscard]] int anthropic_status(const core::Fault& fault) noexcept;

} // namespace dialect
