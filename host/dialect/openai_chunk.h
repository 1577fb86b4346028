// What the host reads from OpenAI-shaped chunks and results that pass through it.
#pragma once

#include "core/result.h"
#include "dialect/dialect.h"

namespace dialect {

struct ChunkFacts {
    bool valid = false;          ///< it is a JSON object
    bool content = false;        ///< bears content: text, tool call, refusal, audio, reasoning, finish reason. A role alone does not
    bool finished = false;       ///< some choice has a finish reason
    std::uint64_t choices = 0, ended = 0; ///< a bit per choice (by index, up to 63): it is there, it has a finish reason
    bool choices_empty = false;  ///< choices is there and empty: the usage chunk
    std::string_view finish;     ///< as sent; a view into the chunk
    std::string_view model, id;  ///< likewise, escapes left as they are
    Counts usage;
    bool error = false;          ///< has an `error` with something in it, is an error object, or finished with "error"
    core::Fault fault;           ///< filled if error
};

/// [shared] One strict pass in place, nothing is copied. `whole`: a chat completion instead of a chunk (message, not delta).
/// Any bytes will do; what is no JSON object in UTF-8 is not valid. Keys that come twice are no fault here.
void read_openai(std::string_view json, bool whole, ChunkFacts& out);

/// [shared] The fault in an OpenAI-shaped (or any of the common) error bodies with this HTTP status; kind by status and code.
core::Fault fault_of_error_body(int status, std::string_view body);

} // namespace dialect
