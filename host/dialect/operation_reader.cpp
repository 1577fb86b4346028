// What an operation's request must have, and what of it the host must know; all else passes.
#include "dialect/operation_reader.h"

#include "core/text.h"
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
        if (name == subject_of(op_)) return subject(name);
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

    void finish() override
    {
        if (!has_subject_) missing(subject_of(op_));
        if (op_ == Op::Rerank && !has_query_) missing("query");
        request_.choices = static_cast<std::uint32_t>(choices_);
        request_.est_input_tokens = static_cast<std::int64_t>((bytes_ + query_.size() * request_.messages) / 4) + tokens_;
        if (request_.stream && op_ != Op::Completions && op_ != Op::ImageGenerate)
            complaint_.add("stream", "Unsupported value: 'stream' is not available for " + std::string(core::op_name(op_)) + " here.", "unsupported_value");
        if (request_.stream) request_.features |= core::Stream;
    }

    Op op_;
    bool has_subject_ = false, has_query_ = false;
    std::string query_;
    std::size_t bytes_ = 0;
    std::int64_t tokens_ = 0, choices_ = 1;
};

core::Fault refused(std::string message, std::string_view param, const char* code)
{
    return {.kind = core::FaultKind::BadRequest, .message = std::move(message), .code = code, .param = std::string(param)};
}

/// "image[]" is one of several called "image".
std::string_view plain_name(std::string_view name) { return name.ends_with("[]") ? name.substr(0, name.size() - 2) : name; }

/// Text fields as members of an object; those that come several times, or are called so, as lists.
std::string object_of(const std::vector<FormField>& fields, std::vector<std::string_view>& present)
{
    std::string out = "{";
    for (const auto& f : fields) {
        if (f.file || std::find(present.begin(), present.end(), f.name) != present.end()) continue;
        present.push_back(f.name);
        std::string list;
        int values = 0;
        for (const auto& other : fields)
            if (!other.file && other.name == f.name) (list += values++ ? "," : "") += core::quoted(other.bytes);
        ((out += out.size() > 1 ? "," : "") += core::quoted(f.name)) += ':';
        out += values > 1 || f.name.ends_with("[]") ? '[' + list + ']' : list;
    }
    return out + '}';
}

} // namespace

core::Result<ChatRequest> read_form_operation(Op op, std::string_view content_type, std::string_view body, std::string_view task)
{
    auto fields = parse_form(content_type, body);
    if (!fields) return std::move(fields).fault();
    ChatRequest request;
    request.bytes = body;
    const std::string_view subject = op == Op::ImageEdit ? "image" : "file";
    bool has_file = false, has_prompt = false;
    for (const auto& f : *fields) {
        if (f.file) {
            has_file = has_file || plain_name(f.name) == subject;
            continue;
        }
        if (!core::is_utf8(f.bytes)) return refused("The field '" + std::string(f.name) + "' is no UTF-8.", f.name, "invalid_value");
        if (f.name == "model") request.model = f.bytes;
        if (f.name == "user") request.user = f.bytes;
        if (f.name == "prompt") has_prompt = !f.bytes.empty(), request.est_input_tokens = static_cast<std::int64_t>(f.bytes.size() / 4);
        if (f.name == "stream" && f.bytes == "true") {
            if (!task.empty()) return refused("Unsupported value: 'stream' is not available for translations.", "stream", "unsupported_value");
            request.stream = true, request.features |= core::Stream;
        }
        if (f.name != "n") continue;
        const auto n = core::to_int(f.bytes);
        if (!n || *n < 1 || *n > most_choices) return refused("Invalid 'n': a number from 1 to 128.", "n", "invalid_value");
        request.choices = static_cast<std::uint32_t>(*n);
    }
    const auto missing = request.model.empty() ? std::string_view("model") : !has_file ? subject : op == Op::ImageEdit && !has_prompt ? std::string_view("prompt") : std::string_view();
    if (!missing.empty()) return refused("Missing required parameter: '" + std::string(missing) + "'.", missing, "missing_required_parameter");
    request.form = object_of(*fields, request.present);
    if (!task.empty()) request.form.insert(1, R"("portolan_task":)" + core::quoted(task) + ',');
    request.fields = std::move(*fields);
    return request;
}

core::Result<ChatRequest> read_operation(core::Op op, std::string_view body, std::size_t max_depth)
{
    return OperationReader(op, body, max_depth).run();
}

} // namespace dialect
