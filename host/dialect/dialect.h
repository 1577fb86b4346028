// A client's language: how its requests are read, and how answers and errors are written in it.
#pragma once

#include "core/result.h"
#include "dialect/chat_request.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dialect {

/// Everything that a whole or streamed answer says about itself.
struct AnswerMeta {
    std::string id, model;
    std::int64_t created = 0; ///< Unix seconds
};

struct Counts { ///< tokens, -1 not said; of the names in dispatch::Usage
    std::int64_t input = -1, cache_read = -1, output = -1, reasoning = -1, audio_input = -1, audio_output = -1;
    bool estimated = false;
    std::int64_t cache_write = -1, cache_write_long = -1;
    [[nodiscard]] bool said() const noexcept { return input >= 0 || output >= 0; }
};

/// Turns events into the client's bytes, streamed or whole. One per answer, on one loop.
class AnswerWriter {
public:
    virtual ~AnswerWriter() = default;
    // each appends to `out` what is to be sent now; whole answers append nothing before end()
    virtual void begin(const AnswerMeta& meta, std::string& out) = 0;
    virtual void text(std::uint32_t choice, std::string_view piece, std::string& out) = 0;
    virtual void reasoning(std::uint32_t choice, std::string_view piece, std::string& out) = 0;
    virtual void tool_begin(std::uint32_t choice, std::uint32_t index, std::string_view id, std::string_view name, std::string& out) = 0;
    virtual void tool_args(std::uint32_t choice, std::uint32_t index, std::string_view piece, std::string& out) = 0;
    virtual void extra(std::string_view json_object, std::string& out) = 0; ///< members merged into the next chunk
    /// Members of the choice's message that have no event of their own: "refusal", "annotations", "reasoning_details" in OpenRouter's form
    /// ({"type":"reasoning.text","text","signature","format"}, {"type":"reasoning.encrypted","data","id","format"}). Not an object: ignored.
    virtual void message(std::uint32_t choice, std::string_view json_object, std::string& out) = 0;
    virtual void finish(std::uint32_t choice, std::string_view reason, std::string& out) = 0;
    virtual void chunk(std::string_view openai_chunk, std::string& out) = 0; ///< an OpenAI chat chunk as a provider gave it
    virtual void result(std::string_view openai_result, std::string& out) = 0;
    virtual void usage(const Counts& counts) = 0;                            ///< the last one counts
    /// The end: usage chunk if wanted, [DONE]; or the whole object.
    virtual void end(std::string& out) = 0;
    /// Instead of end(), after content was sent: the in-band error. False: Dialect::error_event() does.
    virtual bool fail(const core::Fault&, std::string&) { return false; }
    /// What the answer said so far and this dialect has no place for: "answer.annotations". Each once.
    [[nodiscard]] virtual std::span<const std::string> lost() const noexcept { return {}; }
};

struct ErrorBody {
    int status = 500;
    std::string content_type, body;
};
/// One line of error.attempts[]: what was tried. No secrets.
struct AttemptNote {
    std::string target, fault;
    int status = 0;
    std::int64_t took_ms = 0;
};

struct ChunkFacts;
/// A request as it came in. Borrowed.
struct Incoming {
    Incoming(std::string_view bytes) : body(bytes) {} // NOLINT(google-explicit-constructor): a body alone is the usual case
    Incoming(const std::string& bytes) : body(bytes) {} // NOLINT(google-explicit-constructor)
    std::string_view body;
    std::string_view path_model; ///< where the path names the model (Gemini); empty: the body does
    bool path_stream = false;    ///< where the path says whether it streams
    std::string_view content_type; ///< for operations that take files
};

/// A request in OpenAI's chat form, which every provider understands that does not speak the client's dialect.
struct HubForm {
    std::string json;
    std::vector<std::string_view> present; ///< its top-level members; views of constants or of the client's body
    std::vector<std::string> lost;         ///< members of the client's request that are not in it
    std::string refused;                   ///< why it cannot be sent at all: it lacks content. Empty: it can
};

class Dialect {
public:
    virtual ~Dialect() = default;
    [[nodiscard]] virtual int number() const { return 1; }                 ///< dispatch::Dialect, PORTOLAN_DIALECT_*
    [[nodiscard]] virtual std::string_view name() const { return "openai"; } ///< as in manifests and metrics
    /// Reads a body once. BadRequest with `param` for what is wrong; duplicate keys, non-objects, invalid UTF-8, depth over `max_depth`.
    virtual core::Result<ChatRequest> read(const Incoming& in, std::size_t max_depth) const = 0;
    /// The request in OpenAI's form; only after read() succeeded, and not for OpenAI's own dialect. `plain`: for an upstream that itself
    /// speaks OpenAI, so without what docs/plugins/hub.md adds to it. [shared]
    [[nodiscard]] virtual HubForm hub(const Incoming& in, bool plain) const;
    /// Texts of the messages in order, for policies that read them; `openai` is a request in OpenAI's form that read() liked.
    [[nodiscard]] static std::vector<ChatRequest::Turn> turns(std::string_view openai);
    virtual std::unique_ptr<AnswerWriter> writer(bool stream, bool usage_wanted) const = 0;
    /// True if a whole result of the provider's, read as `facts`, has in it what makes it an answer.
    [[nodiscard]] virtual bool answers(std::string_view result, const ChunkFacts& facts) const;
    /// True if a provider's whole result is already what the client asked for, byte for byte.
    [[nodiscard]] virtual bool as_asked(std::string_view, bool stream) const { return !stream; }
    /// The whole answer to "how many tokens is this"; empty: the dialect has no such question.
    [[nodiscard]] virtual std::string token_count(std::int64_t) const { return {}; }
    [[nodiscard]] virtual std::string_view answer_id_prefix() const { return "cmpl-"; }
    virtual ErrorBody error(const core::Fault& fault, const std::vector<AttemptNote>& attempts) const = 0;
    /// An error after content was sent: one in-band event; what ends the stream is the closed connection.
    virtual std::string error_event(const core::Fault& fault, bool done_after_error) const = 0;
    [[nodiscard]] virtual std::string_view stream_content_type() const = 0;
    [[nodiscard]] virtual std::string_view heartbeat() const = 0; ///< ": ping\n\n"
};

/// OpenAI Chat Completions. [shared]
const Dialect& openai_chat();
// What else OpenAI's API offers, and rerank in the form of Cohere and Jina, which OpenAI has not. [shared]
const Dialect& openai_completions();
const Dialect& openai_embeddings();
const Dialect& openai_moderations();
const Dialect& openai_rerank();
const Dialect& openai_images();
const Dialect& openai_speech();
// These take multipart/form-data. [shared]
const Dialect& openai_image_edits();
const Dialect& openai_transcriptions();
const Dialect& openai_translations();
/// Embeddings whose vectors are wanted as base64 of little-endian float32, whatever the provider sends. [shared]
const Dialect& openai_base64_embeddings();
/// OpenAI Responses, without state. [shared]
const Dialect& openai_responses();
/// Anthropic Messages. [shared]
const Dialect& anthropic_messages();

/// Gemini generateContent; streams as events, or as the items of one JSON array. [shared]
const Dialect& gemini_events();
const Dialect& gemini_array();

/// error.attempts[] of our envelopes, with the comma before it; empty for none.
std::string attempts_json(const std::vector<AttemptNote>& attempts);

} // namespace dialect
