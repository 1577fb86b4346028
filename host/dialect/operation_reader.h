// Reads the requests of everything that is no conversation: embeddings, completions, moderations, rerank, images, speech.
#pragma once

#include "core/operation.h"
#include "core/result.h"
#include "dialect/chat_request.h"

namespace dialect {

/// `op` is one of Completions, Embeddings, Moderations, Rerank, ImageGenerate, ImageEdit, Speech, Transcribe. BadRequest with `param` for what is wrong.
/// `body` is borrowed by the result.
core::Result<ChatRequest> read_operation(core::Op op, std::string_view body, std::size_t max_depth);

} // namespace dialect
