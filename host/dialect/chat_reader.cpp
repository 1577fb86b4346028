// The top level of a chat request.
#include "dialect/chat_reader.h"

#include "dialect/body_reader.h"
#include "dialect/message_reader.h"

#include <algorithm>
#include <limits>

namespace dialect {

namespace {

using core::JsonString;

constexpr std::int64_t most_choices = 128, most_tokens = std::numeric_limits<std::int64_t>::max();

class ChatReader final : public BodyReader {
public:
    ChatReader(std::string_view body, std::size_t max_depth) : BodyReader(body, max_depth) {}

private:
    bool member(std::string_view name) override
    {
        switch (name.empty() ? '\0' : name[0]) { // most members are not ours: one comparison each
        case 'c':
            if (name == "cache_control") request_.features |= core::CacheMarks;
            return scan_.skip();
        case 'f':
            if (name == "functions") return tools(name, functions_);
            if (name == "function_call") return choice(function_choice_);
            return scan_.skip();
        case 'l':
            return name == "logprobs" ? logprobs() : scan_.skip();
        case 'm':
            if (name == "messages") return has_messages_ = true, messages_.read(request_);
            if (name == "max_tokens") return fields_.integer(name, 1, most_tokens, max_tokens_);
            if (name == "max_completion_tokens")
                return fields_.integer(name, 1, most_tokens, request_.max_output_tokens);
            if (name == "modalities") return modalities();
            break;
        case 'n':
            return name == "n" ? fields_.integer(name, 1, most_choices, choices_) : scan_.skip();
        case 'p':
            if (name == "parallel_tool_calls") return fields_.flag(name, parallel_);
            break;
        case 'r':
            if (name == "response_format") return response_format();
            if (name == "reasoning_effort") return fields_.text(name, effort_);
            if (name == "reasoning") return reasoning();
            break;
        case 's':
            if (name == "stream") return fields_.flag(name, request_.stream);
            if (name == "stream_options") return stream_options();
            return scan_.skip();
        case 't':
            if (name == "tools") return tools(name, tools_);
            if (name == "tool_choice") return choice(tool_choice_);
            return scan_.skip();
        case 'u':
            return name == "user" ? fields_.text(name, request_.user) : scan_.skip();
        default:
            return scan_.skip();
        }
        return other(name);
    }

    struct Tools {
        std::uint32_t count = 0;
        std::size_t bytes = 0;
    };
    bool tools(std::string_view param, Tools& out)
    {
        if (scan_.peek() == 'n') return scan_.skip();
        if (scan_.peek() != '[') return fields_.wrong(param, "an array of objects");
        const auto from = scan_.position();
        const bool good = scan_.array([&] {
            const std::string item = std::string(param) + '[' + std::to_string(out.count++) + ']';
            if (scan_.peek() != '{') return fields_.wrong(item, "an object");
            return scan_.object([&](const JsonString& key) {
                if (key.is("cache_control")) request_.features |= core::CacheMarks;
                if (!key.is("type") || scan_.peek() != '"') return scan_.skip();
                JsonString type;
                if (!scan_.string(type)) return false;
                if (!type.is("function") && !type.is("custom"))
                    request_.features |= core::ServerTools; // the provider runs it
                return true;
            });
        });
        if (out.count > 0) out.bytes = scan_.position() - from;
        return good;
    }

    /// tool_choice, function_call: what counts is whether it says none or names one.
    enum class Choice { Open, None, Named };
    bool choice(Choice& out)
    {
        JsonString text;
        if (scan_.peek() == '{') out = Choice::Named;
        if (scan_.peek() != '"') return scan_.skip();
        if (!scan_.string(text)) return false;
        if (text.is("none")) out = Choice::None;
        return true;
    }

    bool logprobs()
    {
        bool on = false;
        if (!fields_.flag("logprobs", on)) return false;
        if (on) request_.features |= core::Logprobs;
        return true;
    }

    bool modalities()
    {
        std::vector<std::string> list;
        if (!fields_.texts("modalities", list)) return false;
        if (std::find(list.begin(), list.end(), "audio") != list.end()) request_.features |= core::AudioOut;
        return true;
    }

    bool response_format()
    {
        if (scan_.peek() == 'n') return scan_.skip();
        if (scan_.peek() != '{') return fields_.wrong("response_format", "an object");
        return scan_.object([&](const JsonString& key) {
            std::string type;
            if (!key.is("type")) return scan_.skip();
            if (!fields_.text("response_format.type", type)) return false;
            if (type == "json_object") request_.features |= core::JsonObject;
            if (type == "json_schema") request_.features |= core::JsonSchema;
            return true;
        });
    }

    bool reasoning()
    {
        if (scan_.peek() == 'n') return scan_.skip();
        if (scan_.peek() != '{') return fields_.wrong("reasoning", "an object");
        return scan_.object([&](const JsonString& key) {
            if (key.is("effort")) return fields_.text("reasoning.effort", nested_effort_);
            if (key.is("enabled")) return fields_.flag("reasoning.enabled", reasoning_on_);
            if (key.is("max_tokens")) return fields_.integer("reasoning.max_tokens", 0, most_tokens, reasoning_tokens_);
            return scan_.skip();
        });
    }

    void finish() override
    {
        if (!has_messages_) missing("messages");
        if (request_.max_output_tokens < 0) request_.max_output_tokens = max_tokens_;
        request_.choices = static_cast<std::uint32_t>(choices_);
        const auto set = [this](core::Feature feature, bool on) {
            request_.features |= on ? core::Features{feature} : 0;
        };
        request_.tools = tools_.count + functions_.count;
        const auto needed = [](const Tools& list, Choice choice) {
            return choice == Choice::Named || (list.count > 0 && choice == Choice::Open);
        };
        const bool need_tools = needed(tools_, tool_choice_) || needed(functions_, function_choice_);
        if (!need_tools) request_.features &= ~core::Features{core::ServerTools};
        set(core::Tools, need_tools);
        set(core::ParallelTools, need_tools && parallel_);
        set(core::Choices, choices_ > 1);
        set(core::Stream, request_.stream);
        request_.reasoning = effort();
        set(core::Reasoning, request_.reasoning > 0);
        request_.est_input_tokens =
            static_cast<std::int64_t>((messages_.bytes() + tools_.bytes + functions_.bytes) / 4) +
            4 * std::int64_t{request_.messages} + 85 * std::int64_t{request_.images};
    }

    [[nodiscard]] std::uint32_t effort() const
    {
        const auto& word = effort_.empty() ? nested_effort_ : effort_;
        if (word == "none") return 0;
        if (word == "minimal") return 1;
        if (word == "low") return 25;
        if (word == "medium" || word == "default") return 50;
        if (word == "high") return 75;
        if (!word.empty()) return 100; // xhigh, max, and what comes after them
        return reasoning_on_ || reasoning_tokens_ > 0 ? 50 : 0;
    }

    MessageReader messages_{fields_};
    bool has_messages_ = false, parallel_ = false, reasoning_on_ = false;
    Choice tool_choice_ = Choice::Open, function_choice_ = Choice::Open;
    Tools tools_, functions_;
    std::int64_t max_tokens_ = -1, choices_ = 1, reasoning_tokens_ = 0;
    std::string effort_, nested_effort_;
};

} // namespace

core::Result<ChatRequest> read_chat(std::string_view body, std::size_t max_depth)
{
    return ChatReader(body, max_depth).run();
}

} // namespace dialect
