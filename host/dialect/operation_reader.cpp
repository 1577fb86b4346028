// What an operation's request must have, and what of it the host must know; all else passes.
#include "dialect/operation_reader.h"

#include "dialect/body_reader.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace dialect {

namespace {

using core::JsonString;
using core::Op;

constexpr std::int64_t most_choices = 128, most_tokens = std::numeric_limits<std::int64_t>::max();

/// The member that bears what is to be worked on.
constexpr std::string_view subject_of(Op op) noexcept
{
    switch (op) {
    case Op::Embeddings:
    case Op::Moderations:
    case Op::Speech: return "input";
    case Op::Rerank: return "documents";
    default: return "prompt";
    }
}

class OperationReader final : public BodyReader {
public:
    OperationReader(Op op, std::string_view body, std::size_t max_depth) : BodyReader(body, max_depth), op_(op) {}

private:
    [[nodiscard]] std::string_view usual_model() const override
    {
        return op_ == Op::Moderations ? "omni-moderation-latest" : std::string_view{}; // OpenAI's reference: the only operation with a default
    }

    bool member(std::string_view name) override
    {
        if (name == subject_of(op_) && op_ != Op::Transcribe) return subject(name);
        if (name == "query" && op_ == Op::Rerank) return has_query_ = true, fields_.text(name, query_);
        if (name == "encoding_format" && op_ == Op::Embeddings) return encoding();
        if (name == "user") return fields_.text(name, request_.user);
        if (name == "n") return fields_.integer(name, 1, most_choices, choices_);
        if (name == "stream") return fields_.flag(name, request_.stream);
        if (op_ != Op::Completions) return other(name);
        if (name == "max_tokens") return fields_.integer(name, 1, most_tokens, request_.max_output_tokens);
        if (name == "stream_options") return stream_options();
        return other(name);
    }

    /// Texts, lists of texts, tokens, lists of tokens: only how much it is counts here.
    bool subject(std::string_view name)
    {
        has_subject_ = scan_.peek() != 'n';
        if (scan_.peek() == '"') {
            JsonString text;
            if (!scan_.string(text)) return false;
            bytes_ += text.raw.size();
            request_.messages = 1;
            if (text.raw.empty() && op_ == Op::Embeddings) complaint_.add(name, "Invalid '" + std::string(name) + "': empty string.", "invalid_value");
            return true;
        }
        if (scan_.peek() != '[') return scan_.peek() == 'n' ? scan_.skip() : fields_.wrong(name, "a string or an array");
        bool tokens = false;
        const bool good = scan_.array([&] {
            ++request_.messages;
            tokens = tokens || scan_.is_number();
            std::string_view value;
            if (!scan_.skip(value)) return false;
            if (value.starts_with('[')) // a list of tokens
                tokens_ += 1 + std::count(value.begin(), value.end(), ',');
            else
                bytes_ += value.size();
            return true;
        });
        if (tokens) tokens_ += std::exchange(request_.messages, 1U), bytes_ = 0;
        if (good && request_.messages == 0) complaint_.add(name, "Invalid '" + std::string(name) + "': empty array.", "invalid_value");
        return good;
    }

    bool encoding()
    {
        std::string said; // providers have more than OpenAI's two
        if (!fields_.text("encoding_format", said)) return false;
        request_.base64 = said == "base64";
        return true;
    }

    bool stream_options()
    {
        if (scan_.peek() == 'n') return scan_.skip();
        if (scan_.peek() != '{') return fields_.wrong("stream_options", "an object");
        return scan_.object([&](const JsonString& key) {
            if (!key.is("include_usage")) return scan_.skip();
            request_.usage_chosen = scan_.peek() != 'n';
            return fields_.flag("stream_options.include_usage", request_.usage_wanted);
        });
    }

    void finish() override
    {
        if (!has_subject_ && op_ != Op::Transcribe) missing(subject_of(op_));
        if (op_ == Op::Rerank && !has_query_) missing("query");
        request_.choices = static_cast<std::uint32_t>(choices_);
        request_.est_input_tokens = static_cast<std::int64_t>((bytes_ + query_.size() * request_.messages) / 4) + tokens_;
        if (op_ != Op::Completions && request_.stream)
            complaint_.add("stream", "Unsupported value: 'stream' is not available for " + std::string(core::op_name(op_)) + " here.", "unsupported_value");
        if (request_.stream) request_.features |= core::Stream;
    }

    Op op_;
    bool has_subject_ = false, has_query_ = false;
    std::string query_;
    std::size_t bytes_ = 0;
    std::int64_t tokens_ = 0, choices_ = 1;
};

} // namespace

core::Result<ChatRequest> read_operation(core::Op op, std::string_view body, std::size_t max_depth)
{
    return OperationReader(op, body, max_depth).run();
}

} // namespace dialect
