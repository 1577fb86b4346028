// Pieces of the Gemini dialect.
#pragma once

#include "core/json_tree.h"
#include "dialect/dialect.h"

#include <memory>
#include <string>

namespace dialect {

/// How streams are cut: events (alt=sse), or the items of one JSON array.
enum class GeminiStream { Events, Array };

/// A valid generateContent request in the hub form. `model`, `stream`: from the path.
HubForm gemini_hub(core::JsonValue root, std::string_view model, bool stream, bool plain);

std::unique_ptr<AnswerWriter> gemini_writer(bool stream, GeminiStream form);

/// {"error":{…}} as Google's APIs write it.
std::string gemini_error(const core::Fault& fault, const std::vector<AttemptNote>& attempts);

/// A thought signature, which must be base64, of an entry of reasoning_details; and back. Nothing for what is not ours to unpack.
std::string gemini_signature(std::string_view entry_json);
std::string gemini_entry(std::string_view signature, std::string_view call_id);

} // namespace dialect
