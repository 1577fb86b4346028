// A writer that remembers what was sent, so that a broken answer can be gone on with by another one.
#pragma once

#include "dialect/openai_parts.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace front {

/// Stands before the writer of the client's dialect and passes everything on to it, piece by piece. After resume() a new answer is held
/// against what was sent: what repeats it is swallowed, what goes on after it is passed on. One per answer, on one loop.
class Resumable final : public dialect::OpenAiSink {
public:
    explicit Resumable(std::unique_ptr<dialect::AnswerWriter> to);

    /// A new answer begins. `repeats`: it starts anew and must repeat what was sent; false: it goes on where the last one broke off.
    void resume(bool repeats);
    /// The new answer is not the old one.
    [[nodiscard]] bool differs() const noexcept { return differs_; }
    /// A new answer can be held against what was sent, which has not come to its end.
    [[nodiscard]] bool repeatable() const noexcept { return !odd_ && !finished_ && !differs_; }
    /// Nothing but text of one choice was sent.
    [[nodiscard]] bool plain_text() const noexcept;
    [[nodiscard]] std::string_view text() const noexcept; ///< of the first choice

    void begin(const dialect::AnswerMeta& meta, std::string& out) override { to_->begin(meta, out); }
    void text(std::uint32_t choice, std::string_view piece, std::string& out) override;
    void reasoning(std::uint32_t choice, std::string_view piece, std::string& out) override;
    void refusal(std::uint32_t choice, std::string_view piece, std::string& out) override;
    void tool_begin(std::uint32_t choice, std::uint32_t index, std::string_view id, std::string_view name, std::string& out) override;
    void tool_args(std::uint32_t choice, std::uint32_t index, std::string_view piece, std::string& out) override;
    void function_call(std::uint32_t choice, std::string_view name, std::string_view piece, std::string& out) override;
    void other(std::uint32_t choice, bool inside, std::string_view raw_key, std::string_view json, std::string& out) override;
    void member(std::string_view raw_key, std::string_view json) override;
    void extra(std::string_view json_object, std::string& out) override { to_->extra(json_object, out); }
    void finish(std::uint32_t choice, std::string_view reason, std::string& out) override;
    void chunk(std::string_view openai_chunk, std::string& out) override { dialect::replay(openai_chunk, false, *this, out); }
    void result(std::string_view openai_result, std::string& out) override { dialect::replay(openai_result, true, *this, out); }
    void usage(const dialect::Counts& counts) override { to_->usage(counts); }
    void end(std::string& out) override { to_->end(out); }
    bool fail(const core::Fault& fault, std::string& out) override { return to_->fail(fault, out); }
    [[nodiscard]] std::span<const std::string> lost() const noexcept override { return to_->lost(); }

private:
    enum class Kind : std::uint8_t { Text, Reasoning, Refusal, ToolName, ToolArgs };
    /// One thing that was sent piece by piece, and how much of it the present answer has repeated.
    struct Part {
        Kind kind;
        std::uint32_t choice, number;
        std::string sent;
        std::size_t repeated = 0;
    };
    Part& part(Kind kind, std::uint32_t choice, std::uint32_t number);
    /// What of `piece` is new; it is kept.
    std::string_view fresh(Kind kind, std::uint32_t choice, std::uint32_t number, std::string_view piece);
    bool all_repeated() const noexcept;
    std::uint32_t call_number(std::uint32_t choice, std::uint32_t index, bool begins);

    std::unique_ptr<dialect::AnswerWriter> to_;
    dialect::OpenAiSink* openai_;                                     ///< to_, if it can take what only OpenAI's dialect has
    std::vector<Part> parts_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> calls_;      ///< choice and index of the present answer's tool calls, in order
    bool odd_ = false, finished_ = false, differs_ = false;
};

} // namespace front
