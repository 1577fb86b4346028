// Reads the requests of everything that is no conversation: embeddings, completions, moderations, rerank, images, speech.
#pragma once

#include "core/operation.h"
#include "core/result.h"
#include "dialect/chat_request.h"

namespace dialect {

/// `op` is one of Completions, Embeddings, Moderations, Rerank, ImageGenerate, Speech. BadRequest with `param` for what is wrong.
/// `body` is borrowed by the result.
core::Result<ChatRequest> read_operation(core::Op op, std::string_view body, std::size_t max_depth);

/// The same for ImageEdit and Transcribe, which bring files in a multipart body. UnsupportedMedia for another kind of body. `task`: the member
/// portolan_task of ChatRequest::form, beside the fields ("translate": into English); "" for none.
core::Result<ChatRequest> read_form_operation(core::Op op, std::string_view content_type, std::string_view body, std::string_view task);

} // namespace dialect
