// Writes JSON Schema and documentation out of a walk over keys.
#pragma once

#include "config/visitor.h"

namespace config {

using Walk = std::function<void(Visitor&)>;

/// The JSON Schema of one object whose keys `walk` names; others are refused.
[[nodiscard]] std::string section_schema(const Walk& walk, const std::vector<std::string>& required);

/// A Markdown table: key, type, default, meaning.
[[nodiscard]] std::string section_table(const Walk& walk);

} // namespace config
