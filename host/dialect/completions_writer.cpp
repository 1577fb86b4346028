// Writes an answer in the form of OpenAI's old completions, streamed or whole.
#include "dialect/openai_parts.h"

#include "core/text.h"
#include "dialect/openai_chunk.h"

#include <algorithm>

namespace dialect {

namespace {

class CompletionsWriter final : public AnswerWriter {
public:
    CompletionsWriter(bool stream, bool usage_wanted) : stream_(stream), usage_wanted_(usage_wanted) {}

    void begin(const AnswerMeta& meta, std::string&) override
    {
        head_ = "{\"id\":" + core::quoted(meta.id) + ",\"object\":\"text_completion\",\"created\":" + std::to_string(meta.created) +
                ",\"model\":" + core::quoted(meta.model) + ",\"choices\":[";
    }

    void text(std::uint32_t choice, std::string_view piece, std::string& out) override
    {
        auto& c = at(choice);
        const auto whole = c.tail.join(piece);
        if (whole.empty()) return;
        if (stream_)
            event(one(choice, whole, "null"), out);
        else
            c.text += whole;
    }
    void finish(std::uint32_t choice, std::string_view reason, std::string& out) override
    {
        auto& c = at(choice);
        if (!c.reason.empty()) return;
        c.reason = core::quoted(finish_reason(reason, false));
        const auto rest = c.tail.rest();
        if (stream_)
            event(one(choice, rest, c.reason), out);
        else
            c.text += rest;
    }
    void chunk(std::string_view openai_chunk, std::string& out) override
    {
        ChunkFacts facts;
        read_openai(openai_chunk, false, facts);
        passing_ = true;
        if (facts.choices_empty && facts.usage.said()) {
            if (!usage_wanted_) return; // the host asked for it, the client did not
            usage_sent_ = true;
        }
        event(openai_chunk, out);
    }
    void result(std::string_view openai_result, std::string& out) override
    {
        if (stream_) return chunk(openai_result, out); // they have the same members
        result_ = openai_result;
    }
    void usage(const Counts& counts) override { counts_ = counts; }

    void end(std::string& out) override
    {
        if (!stream_) return whole(out);
        if (choices_.empty() && !passing_) at(0);
        for (std::uint32_t i = 0; i < choices_.size(); ++i) finish(i, "stop", out);
        if (usage_wanted_ && counts_.said() && !usage_sent_) event(head_ + "],\"usage\":" + usage_json(counts_) + '}', out);
        out += "data: [DONE]\n\n";
    }

    // what a completion has no place for
    void reasoning(std::uint32_t, std::string_view, std::string&) override {}
    void tool_begin(std::uint32_t, std::uint32_t, std::string_view, std::string_view, std::string&) override {}
    void tool_args(std::uint32_t, std::uint32_t, std::string_view, std::string&) override {}
    void extra(std::string_view, std::string&) override {}
    void message(std::uint32_t, std::string_view, std::string&) override {}

private:
    struct Choice {
        std::string text, reason; ///< reason: quoted; empty: none yet
        Utf8Tail tail;
    };

    Choice& at(std::uint32_t choice)
    {
        choice = std::min(choice, 1023U);
        if (choices_.size() <= choice) choices_.resize(choice + 1);
        return choices_[choice];
    }
    static std::string choice_json(std::uint32_t choice, std::string_view text, std::string_view reason)
    {
        return "{\"index\":" + std::to_string(choice) + ",\"text\":" + core::quoted(text) + ",\"logprobs\":null,\"finish_reason\":" + std::string(reason) + '}';
    }
    std::string one(std::uint32_t choice, std::string_view text, std::string_view reason) const { return head_ + choice_json(choice, text, reason) + "]}"; }
    static void event(std::string_view json, std::string& out)
    {
        ((out += "data: ") += on_one_line(core::trim(json))) += "\n\n";
    }

    void whole(std::string& out)
    {
        if (!result_.empty()) {
            out += result_;
            return;
        }
        if (choices_.empty()) at(0);
        std::string nothing;
        out += head_;
        for (std::uint32_t i = 0; i < choices_.size(); ++i) {
            finish(i, "stop", nothing);
            out += (i ? "," : "") + choice_json(i, choices_[i].text, choices_[i].reason);
        }
        out += ']';
        if (counts_.said()) out += ",\"usage\":" + usage_json(counts_);
        out += '}';
    }

    const bool stream_, usage_wanted_;
    std::string head_, result_;
    std::vector<Choice> choices_;
    Counts counts_;
    bool passing_ = false, usage_sent_ = false;
};

} // namespace

std::unique_ptr<AnswerWriter> completions_writer(bool stream, bool usage_wanted)
{
    return std::make_unique<CompletionsWriter>(stream, usage_wanted);
}

} // namespace dialect
