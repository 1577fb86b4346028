// What an answer says and its client is not told, by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dialect {

/// Adds "answer.{what}" unless it is there; no more than 16, no name longer than 64 bytes, as they come from upstreams.
void note_loss(std::vector<std::string>& lost, std::string_view what);

} // namespace dialect
