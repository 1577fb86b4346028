// Collects an answer and writes it as one chat completion.
#include "dialect/openai_parts.h"

#include "core/json_scan.h"
#include "core/text.h"

#include <algorithm>

namespace dialect {

namespace {

/// Two JSON arrays as one; what is no array is replaced by the later one.
std::string joined(std::string_view a, std::string_view b)
{
    if (!a.starts_with('[') || !b.starts_with('[')) return std::string(b);
    const auto inside = [](std::string_view array) { return core::trim(array.substr(1, array.size() - 2)); };
    if (inside(a).empty() || inside(b).empty()) return std::string(inside(a).empty() ? b : a);
    return '[' + std::string(inside(a)) + ',' + std::string(inside(b)) + ']';
}

class WholeWriter final : public OpenAiSink {
public:
    void begin(const AnswerMeta& meta, std::string&) override { meta_ = meta; }
    void text(std::uint32_t choice, std::string_view piece, std::string&) override { at(choice).text += piece; }
    void reasoning(std::uint32_t choice, std::string_view piece, std::string&) override
    {
        at(choice).reasoning += piece;
    }
    void refusal(std::uint32_t choice, std::string_view piece, std::string&) override { at(choice).refusal += piece; }

    void tool_begin(std::uint32_t choice, std::uint32_t index, std::string_view id, std::string_view name,
                    std::string&) override
    {
        auto& calls = at(choice).calls;
        if (same_call(find_call(calls, index), id, name)) return;
        auto& call = calls.emplace_back();
        call.index = index;
        call.id = id.empty() ? call_id(meta_.id, choice, calls.size() - 1) : std::string(id);
        call.name = name;
    }

    void tool_args(std::uint32_t choice, std::uint32_t index, std::string_view piece, std::string&) override
    {
        auto* call = find_call(at(choice).calls, index);
        if (!call || piece.empty()) return;
        call->has_arguments = true;
        call->arguments += piece;
    }

    void function_call(std::uint32_t choice, std::string_view name, std::string_view piece, std::string&) override
    {
        auto& c = at(choice);
        c.legacy = true;
        if (!name.empty()) c.function = name;
        c.arguments += piece;
    }

    void other(std::uint32_t choice, bool inside, std::string_view raw_key, std::string_view json,
               std::string&) override
    {
        auto& c = at(choice);
        auto& list = inside ? c.inside : c.beside;
        const auto known =
            std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.first == raw_key; });
        if (known == list.end())
            list.emplace_back(raw_key, json);
        else if (raw_key == "logprobs")
            known->second = logprobs(known->second, json);
        else
            known->second = joined(known->second, json);
    }

    void member(std::string_view raw_key, std::string_view json) override
    {
        if (is_openai_member(raw_key, json)) extras_.set(raw_key, json);
    }
    void extra(std::string_view json_object, std::string&) override { extras_.add(json_object); }

    void finish(std::uint32_t choice, std::string_view reason, std::string&) override
    {
        auto& c = at(choice);
        if (c.reason.empty()) c.reason = reason;
    }

    void chunk(std::string_view openai_chunk, std::string& out) override { replay(openai_chunk, false, *this, out); }
    void result(std::string_view openai_result, std::string& out) override { replay(openai_result, true, *this, out); }
    void usage(const Counts& counts) override { counts_ = counts; }

    void end(std::string& out) override
    {
        if (std::exchange(ended_, true)) return;
        if (choices_.empty()) at(0);
        out += "{\"id\":" + core::quoted(meta_.id) +
               ",\"object\":\"chat.completion\",\"created\":" + std::to_string(meta_.created) +
               ",\"model\":" + core::quoted(meta_.model) + ',';
        extras_.append_to(out);
        out += "\"choices\":[";
        bool first = true;
        for (std::uint32_t i = 0; i < choices_.size(); ++i) {
            if (!choices_[i].used) continue;
            if (!std::exchange(first, false)) out += ',';
            write(i, choices_[i], out);
        }
        out += ']';
        if (counts_.said()) out += ",\"usage\":" + usage_json(counts_);
        out += '}';
    }

private:
    using Entries = std::vector<std::pair<std::string, std::string>>;
    struct Choice {
        bool used = false, legacy = false;
        std::string text, reasoning, refusal, reason, function, arguments;
        std::vector<ToolCall> calls;
        Entries inside, beside;
    };

    Choice& at(std::uint32_t choice)
    {
        choice = std::min(choice, 1023U);
        if (choices_.size() <= choice) choices_.resize(choice + 1);
        choices_[choice].used = true;
        return choices_[choice];
    }

    /// {content: […], refusal: […]} of two chunks as one.
    static std::string logprobs(const std::string& a, std::string_view b)
    {
        if (!a.starts_with('{') || !b.starts_with('{')) return b.starts_with('{') ? std::string(b) : a;
        std::vector<std::pair<std::string, std::string>> merged;
        for (const std::string_view json : {std::string_view(a), b}) {
            core::JsonScanner scan(json, 256, false);
            scan.object([&](const core::JsonString& key) {
                std::string_view value;
                if (!scan.skip(value)) return false;
                const auto known = std::find_if(merged.begin(), merged.end(),
                                                [&](const auto& entry) { return entry.first == key.raw; });
                if (known == merged.end())
                    merged.emplace_back(key.raw, value);
                else if (value != "null")
                    known->second = joined(known->second, value);
                return true;
            });
        }
        std::string out;
        for (const auto& [key, value] : merged) out += (out.empty() ? "{\"" : ",\"") + key + "\":" + value;
        return out.empty() ? "{}" : out + '}';
    }

    static void write(std::uint32_t index, const Choice& c, std::string& out)
    {
        out += "{\"index\":" + std::to_string(index) + ",\"message\":{\"role\":\"assistant\",\"content\":";
        const bool silent = c.text.empty() && (!c.calls.empty() || c.legacy || !c.refusal.empty());
        out += silent ? "null" : core::quoted(c.text);
        out += ",\"refusal\":" + (c.refusal.empty() ? std::string("null") : core::quoted(c.refusal));
        if (!c.reasoning.empty()) {
            const auto text = core::quoted(c.reasoning);
            out += ",\"reasoning_content\":" + text + ",\"reasoning\":" + text;
        }
        for (const auto& [key, value] : c.inside) out += ",\"" + key + "\":" + value;
        if (!c.calls.empty()) {
            out += ",\"tool_calls\":[";
            for (const auto& call : c.calls) {
                if (&call != c.calls.data()) out += ',';
                out += "{\"id\":" + core::quoted(call.id) +
                       ",\"type\":\"function\",\"function\":{\"name\":" + core::quoted(call.name) +
                       ",\"arguments\":" + core::quoted(call.has_arguments ? call.arguments : "{}") + "}}";
            }
            out += ']';
        }
        if (c.legacy)
            out += ",\"function_call\":{\"name\":" + core::quoted(c.function) +
                   ",\"arguments\":" + core::quoted(c.arguments.empty() ? "{}" : c.arguments) + '}';
        out += '}';
        bool told = false;
        for (const auto& [key, value] : c.beside) {
            out += ",\"" + key + "\":" + value;
            told = told || key == "logprobs";
        }
        if (!told) out += ",\"logprobs\":null";
        auto reason = finish_reason(c.reason, !c.calls.empty());
        if (c.legacy && reason == "stop") reason = "function_call";
        out += ",\"finish_reason\":\"" + std::string(reason) + "\"}";
    }

    AnswerMeta meta_;
    bool ended_ = false;
    std::vector<Choice> choices_;
    Members extras_;
    Counts counts_;
};

} // namespace

std::unique_ptr<AnswerWriter> whole_writer() { return std::make_unique<WholeWriter>(); }

} // namespace dialect
