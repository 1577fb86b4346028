// Puts an answer's events into an order of whole blocks, one after the other, as Messages, Responses and Gemini want them.
#pragma once

#include "dialect/openai_parts.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dialect {

/// One thing in an answer: a text, a thought, a tool call. Blocks open in order, and one closes before the next opens; what comes for a
/// later one meanwhile is kept until its turn.
struct Block {
    enum class Kind : std::uint8_t { Text, Reasoning, Opaque, Refusal, Tool };
    Kind kind = Kind::Text;
    std::size_t number = 0;                 ///< in its choice
    std::size_t tool_number = 0;            ///< of a tool call, among those of its choice
    std::uint32_t index = 0;                ///< the provider's, of a tool call
    std::string id, name;                   ///< of a tool call; id: of an opaque one too
    std::string text;                       ///< all of it so far: text, thought, arguments, opaque data
    std::string details;                    ///< the entry of reasoning_details that seals it, or is an opaque block
    std::string citations;                  ///< of a text: what its writer made of them, in a row
    std::int64_t cited = 0;                 ///< how many
    std::size_t told = 0;                   ///< how much of `text` was handed to delta()
    Utf8Tail tail;
};

/// The base of writers. Derived classes say what opening, a piece and closing look like; whole answers look at the blocks at the end.
class BlockWriter : public OpenAiSink {
public:
    /// `keeps`: texts stay in the blocks to the end; else they go once they were told.
    explicit BlockWriter(bool keeps) noexcept : keeps_(keeps) {}
    void begin(const AnswerMeta& meta, std::string& out) override;
    void text(std::uint32_t choice, std::string_view piece, std::string& out) override;
    void reasoning(std::uint32_t choice, std::string_view piece, std::string& out) override;
    void refusal(std::uint32_t choice, std::string_view piece, std::string& out) override;
    void tool_begin(std::uint32_t choice, std::uint32_t index, std::string_view id, std::string_view name, std::string& out) override;
    void tool_args(std::uint32_t choice, std::uint32_t index, std::string_view piece, std::string& out) override;
    void function_call(std::uint32_t choice, std::string_view name, std::string_view piece, std::string& out) override;
    void other(std::uint32_t choice, bool inside, std::string_view raw_key, std::string_view json, std::string& out) override;
    void member(std::string_view raw_key, std::string_view json) override;
    void extra(std::string_view json_object, std::string& out) override;
    void finish(std::uint32_t choice, std::string_view reason, std::string& out) override;
    void chunk(std::string_view openai_chunk, std::string& out) override { replay(openai_chunk, false, *this, out); }
    void result(std::string_view openai_result, std::string& out) override { replay(openai_result, true, *this, out); }
    void usage(const Counts& counts) override { counts_ = counts; }
    void end(std::string& out) override;
    [[nodiscard]] std::span<const std::string> lost() const noexcept override { return lost_; }

protected:
    struct Choice {
        std::deque<Block> blocks;
        std::size_t current = 0;            ///< blocks before it are closed
        bool open = false;                  ///< the current one is
        bool finished = false;
        std::string reason;                 ///< one of OpenAI's
        std::size_t tools = 0;
    };
    /// True if an opaque entry that names a call goes with that call, instead of being a block of its own.
    [[nodiscard]] virtual bool attaches() const noexcept { return false; }
    virtual void open(std::uint32_t choice, Block& block, std::string& out) = 0;
    virtual void delta(std::uint32_t choice, Block& block, std::string_view piece, std::string& out) = 0;
    virtual void close(std::uint32_t choice, Block& block, std::string& out) = 0;
    /// True if an answer of several choices has a place for them.
    [[nodiscard]] virtual bool tells_choices() const noexcept { return false; }
    /// What a message's member says that is neither text nor reasoning: "annotations", "audio". False: there is no place for all of it.
    virtual bool message_member(std::uint32_t, std::string_view /*raw_key*/, std::string_view /*json*/, std::string&) { return false; }
    /// Once, when every choice has ended.
    virtual void ended(std::string& out) = 0;

    /// The arguments of a call as JSON: "{}" for none.
    [[nodiscard]] static std::string_view arguments(const Block& block) noexcept;
    [[nodiscard]] const AnswerMeta& meta() const noexcept { return meta_; }
    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
    [[nodiscard]] std::deque<Choice>& choices() noexcept { return choices_; }
    /// The last text of a choice that can still be added to; none: nullptr.
    [[nodiscard]] Block* open_text(std::uint32_t choice) noexcept;

private:
    Choice& at(std::uint32_t choice);
    Block& last_of(std::uint32_t choice, Block::Kind kind);
    Block& add(Choice& choice, Block::Kind kind);
    void append(std::uint32_t choice, Block& block, std::string_view piece, std::string& out);
    void advance(std::uint32_t choice, bool to_the_end, std::string& out);
    void detail(std::uint32_t choice, std::string_view entry, std::string& out);
    void lose(std::string_view member, std::string_view json);

    AnswerMeta meta_;
    Counts counts_;
    std::deque<Choice> choices_;
    std::vector<std::string> lost_;
    const bool keeps_;
    bool ended_ = false;
};

} // namespace dialect
