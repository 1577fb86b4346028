// Writes an answer as server-sent chunks. Strings are put together by hand: a generator's every token passes here.
#include "dialect/openai_parts.h"

#include "core/text.h"

#include <algorithm>

namespace dialect {

namespace {

class StreamWriter final : public OpenAiSink {
public:
    explicit StreamWriter(bool usage_wanted) : usage_wanted_(usage_wanted) {}

    void begin(const AnswerMeta& meta, std::string&) override
    {
        id_ = meta.id;
        head(core::quoted(meta.id), core::quoted(meta.model), std::to_string(meta.created));
    }

    void text(std::uint32_t choice, std::string_view piece, std::string& out) override
    {
        const auto whole = at(choice).text.join(piece);
        if (!whole.empty()) delta(choice, "\"content\":" + core::quoted(whole), out);
    }

    void reasoning(std::uint32_t choice, std::string_view piece, std::string& out) override
    {
        const auto whole = at(choice).reasoning.join(piece);
        if (!whole.empty()) reason_delta(choice, whole, out);
    }

    void refusal(std::uint32_t choice, std::string_view piece, std::string& out) override
    {
        delta(choice, "\"refusal\":" + core::quoted(piece), out);
    }

    void tool_begin(std::uint32_t choice, std::uint32_t index, std::string_view id, std::string_view name,
                    std::string& out) override
    {
        auto& c = at(choice);
        if (same_call(find_call(c.calls, index), id, name)) return;
        flush_text(choice, out);
        const auto number = c.calls.size();
        auto& call = c.calls.emplace_back();
        call.index = index;
        call.id = id.empty() ? call_id(id_, choice, number) : std::string(id);
        delta(choice,
              std::string(c.spoke ? "" : "\"content\":null,") + "\"tool_calls\":[{\"index\":" + std::to_string(number) +
                  ",\"id\":" + core::quoted(call.id) +
                  ",\"type\":\"function\",\"function\":{\"name\":" + core::quoted(name) + ",\"arguments\":\"\"}}]",
              out);
    }

    void tool_args(std::uint32_t choice, std::uint32_t index, std::string_view piece, std::string& out) override
    {
        auto& calls = at(choice).calls;
        if (auto* call = find_call(calls, index))
            arguments(choice, static_cast<std::size_t>(call - calls.data()), call->tail.join(piece), out);
    }

    void function_call(std::uint32_t choice, std::string_view name, std::string_view piece, std::string& out) override
    {
        at(choice).legacy = true;
        delta(choice,
              "\"function_call\":{" + (name.empty() ? std::string() : "\"name\":" + core::quoted(name) + ',') +
                  "\"arguments\":" + core::quoted(piece) + '}',
              out);
    }

    void other(std::uint32_t choice, bool inside, std::string_view raw_key, std::string_view json,
               std::string& out) override
    {
        if (inside)
            delta(choice, '"' + std::string(raw_key) + "\":" + on_one_line(json), out);
        else
            emit(choice, {}, ",\"" + std::string(raw_key) + "\":" + on_one_line(json) + ",\"finish_reason\":null", out);
    }

    void member(std::string_view raw_key, std::string_view json) override
    {
        if (is_openai_member(raw_key, json)) extras_.set(raw_key, json);
    }
    void extra(std::string_view json_object, std::string&) override { extras_.add(json_object); }

    void finish(std::uint32_t choice, std::string_view reason, std::string& out) override
    {
        auto& c = at(choice);
        if (c.finished) return;
        flush_text(choice, out);
        for (std::size_t i = 0; i < c.calls.size(); ++i) {
            arguments(choice, i, c.calls[i].tail.rest(), out);
            if (!c.calls[i].has_arguments) arguments(choice, i, "{}", out);
        }
        c.finished = true;
        auto is = finish_reason(reason, !c.calls.empty());
        if (c.legacy && is == "stop") is = "function_call";
        emit(choice, c.spoke ? "" : "\"content\":\"\"", ",\"finish_reason\":\"" + std::string(is) + '"', out);
    }

    void chunk(std::string_view openai_chunk, std::string& out) override { replay(openai_chunk, false, *this, out); }
    void result(std::string_view openai_result, std::string& out) override { replay(openai_result, true, *this, out); }

    void usage(const Counts& counts) override { counts_ = counts; }

    void end(std::string& out) override
    {
        if (std::exchange(ended_, true)) return;
        if (choices_.empty()) at(0);
        for (std::uint32_t i = 0; i < choices_.size(); ++i)
            if (choices_[i].used) finish(i, "stop", out);
        const bool usage_due = usage_wanted_ && counts_.said();
        if (usage_due || !extras_.empty()) {
            out += head_;
            extras_.append_to(out);
            out += "\"choices\":[]" + (usage_due ? ",\"usage\":" + usage_json(counts_) : std::string()) + "}\n\n";
            extras_.clear();
        }
        out += "data: [DONE]\n\n";
    }

private:
    struct Choice {
        bool used = false, spoke = false, finished = false, legacy = false; // spoke: the role was sent
        Utf8Tail text, reasoning;
        std::vector<ToolCall> calls;
    };

    Choice& at(std::uint32_t choice)
    {
        choice = std::min(choice, 1023U);
        if (choices_.size() <= choice) choices_.resize(choice + 1);
        choices_[choice].used = true;
        return choices_[choice];
    }

    void head(std::string_view id, std::string_view model, std::string_view created)
    {
        head_ = "data: {\"id\":" + std::string(id) +
                ",\"object\":\"chat.completion.chunk\",\"created\":" + std::string(created) +
                ",\"model\":" + std::string(model) + ',';
    }

    /// One chunk with one choice: `inner` goes into the delta, `outer` behind it.
    void emit(std::uint32_t choice, std::string_view inner, std::string_view outer, std::string& out)
    {
        auto& c = at(choice);
        out += head_;
        extras_.append_to(out);
        extras_.clear();
        ((out += "\"choices\":[{\"index\":") += std::to_string(std::min(choice, 1023U))) += ",\"delta\":{";
        if (!std::exchange(c.spoke, true)) out += inner.empty() ? "\"role\":\"assistant\"" : "\"role\":\"assistant\",";
        (((out += inner) += '}') += outer) += "}]}\n\n";
    }
    void delta(std::uint32_t choice, std::string_view inner, std::string& out)
    {
        emit(choice, inner, ",\"finish_reason\":null", out);
    }

    void reason_delta(std::uint32_t choice, std::string_view whole, std::string& out)
    {
        const auto text = core::quoted(whole);
        delta(choice, "\"reasoning_content\":" + text + ",\"reasoning\":" + text, out);
    }

    void arguments(std::uint32_t choice, std::size_t number, std::string_view piece, std::string& out)
    {
        if (piece.empty()) return;
        at(choice).calls[number].has_arguments = true;
        delta(choice,
              "\"tool_calls\":[{\"index\":" + std::to_string(number) +
                  ",\"function\":{\"arguments\":" + core::quoted(piece) + "}}]",
              out);
    }

    void flush_text(std::uint32_t choice, std::string& out)
    {
        if (const auto rest = at(choice).reasoning.rest(); !rest.empty()) reason_delta(choice, rest, out);
        if (const auto rest = at(choice).text.rest(); !rest.empty())
            delta(choice, "\"content\":" + core::quoted(rest), out);
    }

    bool usage_wanted_, ended_ = false;
    std::string id_, head_;
    std::vector<Choice> choices_;
    Members extras_;
    Counts counts_;
};

} // namespace

std::unique_ptr<AnswerWriter> stream_writer(bool usage_wanted) { return std::make_unique<StreamWriter>(usage_wanted); }

} // namespace dialect
