// Names, numbers and characters of OpenAI answers.
#include "dialect/openai_parts.h"

#include "core/json_scan.h"
#include "core/text.h"
#include "dialect/message_reader.h"

#include <algorithm>
#include <array>

namespace dialect {

namespace {

/// How many bytes at the end begin a character that is not whole yet.
std::size_t cut(std::string_view text) noexcept
{
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xc0) == 0x80) continue;
        const std::size_t needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return needs > back ? back : 0;
    }
    return 0;
}

constexpr std::array<std::string_view, 6> own{"id", "object", "created", "model", "choices", "usage"};

struct Reason {
    std::string_view said, is;
};
constexpr std::array reasons{Reason{"length", "length"},
                             Reason{"max_tokens", "length"},
                             Reason{"model_length", "length"},
                             Reason{"model_context_window_exceeded", "length"},
                             Reason{"max_output_tokens", "length"},
                             Reason{"tool_calls", "tool_calls"},
                             Reason{"tool_call", "tool_calls"},
                             Reason{"tool_use", "tool_calls"},
                             Reason{"function_call", "function_call"},
                             Reason{"content_filter", "content_filter"},
                             Reason{"content_filtered", "content_filter"},
                             Reason{"refusal", "content_filter"},
                             Reason{"guardrail_intervened", "content_filter"},
                             Reason{"safety", "content_filter"},
                             Reason{"recitation", "content_filter"},
                             Reason{"blocklist", "content_filter"},
                             Reason{"prohibited_content", "content_filter"},
                             Reason{"spii", "content_filter"},
                             Reason{"image_safety", "content_filter"},
                             Reason{"model_armor", "content_filter"},
                             Reason{"error_toxic", "content_filter"}};

} // namespace

std::string_view Utf8Tail::join(std::string_view piece)
{
    if (!held_.empty()) {
        joined_ = std::exchange(held_, {});
        joined_ += piece;
        piece = joined_;
    }
    const auto n = cut(piece);
    held_.assign(piece.substr(piece.size() - n));
    return piece.substr(0, piece.size() - n);
}

std::string on_one_line(std::string_view json)
{
    std::string out(json);
    std::replace_if(out.begin(), out.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return out;
}

bool is_own_member(std::string_view raw_key) noexcept
{
    return std::find(own.begin(), own.end(), raw_key) != own.end();
}

void Members::add(std::string_view json_object)
{
    core::JsonScanner check(json_object, 256, true);
    if (check.peek() != '{' || !check.skip() || !check.end()) return;
    core::JsonScanner scan(json_object, 256, false);
    scan.object([&](const core::JsonString& key) {
        std::string_view value;
        if (!scan.skip(value)) return false;
        if (!is_own_member(key.text())) set(key.raw, value);
        return true;
    });
}

void Members::set(std::string_view raw_key, std::string_view json)
{
    for (auto& [key, value] : list_)
        if (key == raw_key) {
            value = on_one_line(json);
            return;
        }
    list_.emplace_back(raw_key, on_one_line(json));
}

void Members::append_to(std::string& out) const
{
    for (const auto& [key, value] : list_) (((out += '"') += key) += "\":") += value + ',';
}

std::string_view finish_reason(std::string_view said, bool called_tools) noexcept
{
    std::string_view is = "stop";
    for (const auto& reason : reasons)
        if (core::equal_nocase(reason.said, said)) is = reason.is;
    if (is == "stop" && called_tools) return "tool_calls";
    return is == "tool_calls" && !called_tools ? "stop" : is;
}

bool is_openai_member(std::string_view raw_key, std::string_view json) noexcept
{
    static constexpr std::array<std::string_view, 5> tiers{"\"auto\"", "\"default\"", "\"flex\"", "\"scale\"", "\"priority\""};
    return raw_key != "service_tier" || std::find(tiers.begin(), tiers.end(), json) != tiers.end();
}

std::string usage_json(const Counts& counts)
{
    std::string out = "{";
    const auto put = [&out](std::string_view name, std::int64_t value) {
        if (value < 0) return;
        if (out.back() != '{') out += ',';
        (((out += '"') += name) += "\":") += std::to_string(value);
    };
    const auto details = [&](std::string_view name, std::string_view part, std::int64_t value, std::int64_t audio) {
        if (value < 0 && audio < 0) return;
        ((out += ",\"") += name) += "\":{";
        put(part, value);
        put("audio_tokens", audio);
        out += '}';
    };
    put("prompt_tokens", std::max<std::int64_t>(counts.input, 0));
    put("completion_tokens", std::max<std::int64_t>(counts.output, 0));
    put("total_tokens", std::max<std::int64_t>(counts.input, 0) + std::max<std::int64_t>(counts.output, 0));
    details("prompt_tokens_details", "cached_tokens", counts.cache_read, counts.audio_input);
    details("completion_tokens_details", "reasoning_tokens", counts.reasoning, counts.audio_output);
    return out += counts.estimated ? ",\"estimated\":true}" : "}";
}

std::string call_id(std::string_view answer_id, std::uint32_t choice, std::size_t number)
{
    static constexpr char letters[] = "0123456789abcdef";
    auto hash = hash_text(answer_id, (std::uint64_t{choice} << 32) + number + 1);
    std::string out = "call_";
    for (int i = 0; i < 16; ++i, hash >>= 4) out += letters[hash & 15];
    return out;
}

ToolCall* find_call(std::vector<ToolCall>& calls, std::uint32_t index) noexcept
{
    for (auto at = calls.rbegin(); at != calls.rend(); ++at)
        if (at->index == index) return &*at;
    return nullptr;
}

bool same_call(const ToolCall* call, std::string_view id, std::string_view name) noexcept
{
    return call && (id.empty() ? name.empty() || !call->has_arguments : call->id == id);
}

} // namespace dialect
