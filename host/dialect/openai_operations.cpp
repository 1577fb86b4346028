// OpenAI's operations besides chat as a client's language: most answers pass as they are.
#include "dialect/dialect.h"

#include "core/json_scan.h"
#include "core/json_tree.h"
#include "dialect/embedding.h"
#include "dialect/openai_chunk.h"
#include "dialect/openai_parts.h"
#include "dialect/operation_reader.h"

#include <utility>

namespace dialect {

namespace {

using core::JsonScanner;
using core::JsonString;
using core::Op;

/// The member that an answer must have.
constexpr std::string_view answer_of(Op op) noexcept
{
    switch (op) {
    case Op::Completions: return "choices";
    case Op::Moderations:
    case Op::Rerank: return "results";
    case Op::Transcribe: return "text";
    default: return "data";
    }
}

bool has_member(std::string_view object, std::string_view name)
{
    bool found = false;
    JsonScanner scan(object, 256, false);
    scan.object([&](const JsonString& key) {
        found = found || (key.raw == name && scan.peek() != 'n');
        return scan.skip();
    });
    return found;
}

/// The last event of such an operation's stream.
constexpr std::string_view last_event_of(Op op) noexcept
{
    switch (op) {
    case Op::Transcribe: return "transcript.text.done";
    case Op::ImageEdit: return "image_edit.completed";
    default: return "image_generation.completed";
    }
}

/// An answer that comes as one JSON object and goes on as one; what the events of a conversation say has no place in it.
/// `event`: where a stream was asked for and the answer comes whole all the same, what it goes on as; empty: no stream was.
class ResultWriter final : public AnswerWriter {
public:
    explicit ResultWriter(bool base64, std::string_view event) : base64_(base64), event_(event) {}
    void begin(const AnswerMeta&, std::string&) override {}
    void text(std::uint32_t, std::string_view, std::string&) override {}
    void reasoning(std::uint32_t, std::string_view, std::string&) override {}
    void tool_begin(std::uint32_t, std::uint32_t, std::string_view, std::string_view, std::string&) override {}
    void tool_args(std::uint32_t, std::uint32_t, std::string_view, std::string&) override {}
    void extra(std::string_view, std::string&) override {}
    void message(std::uint32_t, std::string_view, std::string&) override {}
    void finish(std::uint32_t, std::string_view, std::string&) override {}
    void chunk(std::string_view, std::string&) override {}
    void result(std::string_view openai_result, std::string&) override
    {
        result_ = base64_ ? with_base64_vectors(openai_result) : std::string(openai_result);
    }
    void usage(const Counts&) override {}
    void end(std::string& out) override
    {
        const auto result = std::exchange(result_, {});
        if (event_.empty())
            out += result;
        else
            events(result, out);
    }

private:
    /// The transcript's, or one for each picture.
    void events(std::string_view result, std::string& out) const
    {
        const core::JsonTree tree(result);
        const auto root = tree.root();
        if (root.object() && !root["data"].array()) event(root, {}, out);
        for (const auto picture : root["data"]) event(picture, root, out);
    }

    void event(core::JsonValue members, core::JsonValue around, std::string& out) const
    {
        std::string line;
        core::JsonText json(line);
        json.open('{').key("type").inner(event_);
        for (const auto member : members) json.key(member.key()).raw(member.raw());
        json.copy("created_at", around["created"]);
        for (const char* said : {"background", "output_format", "quality", "size", "usage"}) json.copy(said, around[said]);
        json.close('}');
        ((((out += "event: ") += event_) += "\ndata: ") += on_one_line(line)) += "\n\n";
    }

    const bool base64_;
    const std::string_view event_;
    std::string result_;
};

class Operation final : public Dialect {
public:
    explicit Operation(Op op, bool base64 = false, std::string_view task = {}) : op_(op), base64_(base64), task_(task) {}

    core::Result<ChatRequest> read(const Incoming& in, std::size_t max_depth) const override
    {
        if (op_ == Op::ImageEdit || op_ == Op::Transcribe) return read_form_operation(op_, in.content_type, in.body, task_);
        return read_operation(op_, in.body, max_depth);
    }
    std::unique_ptr<AnswerWriter> writer(bool stream, bool usage_wanted) const override
    {
        if (op_ == Op::Completions) return completions_writer(stream, usage_wanted);
        return std::make_unique<ResultWriter>(base64_, stream ? last_event_of(op_) : std::string_view());
    }
    [[nodiscard]] bool answers(std::string_view result, const ChunkFacts&) const override { return has_member(result, answer_of(op_)); }
    [[nodiscard]] bool as_asked(std::string_view result, bool stream) const override
    {
        return !stream && !(base64_ && has_number_vectors(result));
    }
    ErrorBody error(const core::Fault& fault, const std::vector<AttemptNote>& attempts) const override { return openai_chat().error(fault, attempts); }
    std::string error_event(const core::Fault& fault, bool done_after_error) const override { return openai_chat().error_event(fault, done_after_error); }
    [[nodiscard]] std::string_view stream_content_type() const override { return openai_chat().stream_content_type(); }
    [[nodiscard]] std::string_view heartbeat() const override { return openai_chat().heartbeat(); }

private:
    const Op op_;
    const bool base64_;
    const std::string_view task_;
};

} // namespace

#define OPERATION(name, ...)                     \
    const Dialect& openai_##name()               \
    {                                            \
        static const Operation dialect(__VA_ARGS__); \
        return dialect;                          \
    }
OPERATION(completions, Op::Completions)
OPERATION(embeddings, Op::Embeddings)
OPERATION(base64_embeddings, Op::Embeddings, true)
OPERATION(moderations, Op::Moderations)
OPERATION(rerank, Op::Rerank)
OPERATION(images, Op::ImageGenerate)
OPERATION(speech, Op::Speech)
OPERATION(image_edits, Op::ImageEdit)
OPERATION(transcriptions, Op::Transcribe)
OPERATION(translations, Op::Transcribe, false, "translate")
#undef OPERATION

} // namespace dialect
