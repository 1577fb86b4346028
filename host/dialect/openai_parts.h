// Pieces that both ways of writing an OpenAI answer, streamed and whole, are made of.
#pragma once

#include "dialect/dialect.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dialect {

/// Holds back the bytes of a character that the end of a piece cuts, until the next piece brings the rest.
class Utf8Tail {
public:
    /// The whole characters of what was held back and `piece`; the view is into `piece` or into this object.
    std::string_view join(std::string_view piece);
    /// What is still held back at the end; empties it.
    std::string rest() { return std::exchange(held_, {}); }

private:
    std::string held_, joined_;
};

/// JSON as it may stand in a line of a stream: lines end only between its tokens, where a blank says the same.
[[nodiscard]] std::string on_one_line(std::string_view json);

/// Top-level members that are none of ours, by their raw key; a later one replaces an earlier one.
class Members {
public:
    /// All members of a JSON object but those that the writer makes itself; anything else is passed over.
    void add(std::string_view json_object);
    void set(std::string_view raw_key, std::string_view json);
    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
    void clear() noexcept { list_.clear(); }
    [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& list() const noexcept { return list_; }
    void append_to(std::string& out) const; ///< each as "key":value with a comma behind it

private:
    std::vector<std::pair<std::string, std::string>> list_;
};

/// Members at the top of an answer that a writer makes itself.
[[nodiscard]] bool is_own_member(std::string_view raw_key) noexcept;

/// One of OpenAI's finish reasons for whatever a provider calls it; what nobody knows is "stop".
[[nodiscard]] std::string_view finish_reason(std::string_view said, bool called_tools) noexcept;

/// False for a member whose value OpenAI's clients do not know: service tiers of other providers.
[[nodiscard]] bool is_openai_member(std::string_view raw_key, std::string_view json) noexcept;

[[nodiscard]] std::string usage_json(const Counts& counts);

/// A stable id for a tool call that came without one.
[[nodiscard]] std::string call_id(std::string_view answer_id, std::uint32_t choice, std::size_t number);

/// One call of a choice: providers number them as they like, clients count from 0.
struct ToolCall {
    std::uint32_t index = 0; ///< the provider's
    std::string id, name, arguments;
    bool has_arguments = false;
    Utf8Tail tail;
};

/// The call that `index` means, the latest if it was used twice; nullptr if there is none.
[[nodiscard]] ToolCall* find_call(std::vector<ToolCall>& calls, std::uint32_t index) noexcept;
/// True if a tool_begin with these says nothing new: the same call once more.
[[nodiscard]] bool same_call(const ToolCall* call, std::string_view id, std::string_view name) noexcept;

/// What a provider's own chunk or result can say besides the events of an AnswerWriter.
class OpenAiSink : public AnswerWriter {
public:
    virtual void refusal(std::uint32_t choice, std::string_view piece, std::string& out) = 0;
    virtual void function_call(std::uint32_t choice, std::string_view name, std::string_view piece,
                               std::string& out) = 0;
    /// Any other member of a delta or message (`inside`) or of the choice itself, as JSON.
    virtual void other(std::uint32_t choice, bool inside, std::string_view raw_key, std::string_view json,
                       std::string& out) = 0;
    virtual void member(std::string_view raw_key, std::string_view json) = 0;
    void message(std::uint32_t choice, std::string_view json_object, std::string& out) final;
};

/// Tells `sink` what an OpenAI chunk (or, if `whole`, a completion) says. Nothing happens for what is no valid JSON
/// object.
void replay(std::string_view json, bool whole, OpenAiSink& sink, std::string& out);

/// The body of an error in OpenAI's form.
[[nodiscard]] std::string openai_error_json(const core::Fault& fault, const std::vector<AttemptNote>& attempts);

std::unique_ptr<AnswerWriter> completions_writer(bool stream, bool usage_wanted);
std::unique_ptr<AnswerWriter> stream_writer(bool usage_wanted);
std::unique_ptr<AnswerWriter> whole_writer();

} // namespace dialect
