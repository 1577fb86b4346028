// The top level of a chat request.
#include "dialect/chat_reader.h"

#include "core/json_scan.h"
#include "dialect/extensions.h"
#include "dialect/message_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <limits>

namespace dialect {

namespace {

using core::JsonString;

/// Members that would choose where our credentials go, or which. LiteLLM's CVE-2024-6587 was one of them.
constexpr std::array<std::string_view, 5> forbidden{"api_base", "base_url", "custom_host", "api_key", "headers"};

/// Names that rules about parameters may ask for, should a client spell them with escapes.
constexpr std::array<std::string_view, 48> known_names{"model",
                                                       "messages",
                                                       "stream",
                                                       "stream_options",
                                                       "temperature",
                                                       "top_p",
                                                       "top_k",
                                                       "top_a",
                                                       "min_p",
                                                       "n",
                                                       "stop",
                                                       "max_tokens",
                                                       "max_completion_tokens",
                                                       "presence_penalty",
                                                       "frequency_penalty",
                                                       "repetition_penalty",
                                                       "logit_bias",
                                                       "logprobs",
                                                       "top_logprobs",
                                                       "user",
                                                       "seed",
                                                       "response_format",
                                                       "tools",
                                                       "tool_choice",
                                                       "parallel_tool_calls",
                                                       "functions",
                                                       "function_call",
                                                       "modalities",
                                                       "audio",
                                                       "reasoning_effort",
                                                       "reasoning",
                                                       "store",
                                                       "metadata",
                                                       "service_tier",
                                                       "prediction",
                                                       "web_search_options",
                                                       "verbosity",
                                                       "safety_identifier",
                                                       "prompt_cache_key",
                                                       "cache_control",
                                                       "models",
                                                       "route",
                                                       "portolan",
                                                       "provider",
                                                       "transforms",
                                                       "plugins",
                                                       "thinking",
                                                       "suffix"};

constexpr std::size_t longest_model = 512;
constexpr std::int64_t most_choices = 128, most_tokens = std::numeric_limits<std::int64_t>::max();

class ChatReader {
public:
    ChatReader(std::string_view body, std::size_t max_depth) : body_(body), scan_(body, max_depth, true)
    {
        request_.bytes = body;
        request_.present.reserve(16);
    }

    core::Result<ChatRequest> run()
    {
        if (!simdjson::validate_utf8(body_.data(), body_.size()))
            return bad("The request body is not valid UTF-8.", "invalid_json");
        if (body_.size() > std::numeric_limits<std::uint32_t>::max())
            return bad("The request body is too large.", "invalid_json");
        if (scan_.peek() != '{')
            return bad(scan_.skip() && scan_.end() ? "The request body must be a JSON object." : unparsable(),
                       "invalid_json");
        if (!scan_.object([this](const JsonString& key) { return member(key); }) || !scan_.end()) return scan_fault();
        finish();
        if (complaint_.any()) return complaint_.take();
        return std::move(request_);
    }

private:
    static core::Fault bad(std::string message, std::string_view code, std::string param = {})
    {
        return {.kind = core::FaultKind::BadRequest,
                .message = std::move(message),
                .code = std::string(code),
                .param = std::move(param)};
    }
    std::string unparsable()
    {
        return "We could not parse the JSON body of your request: unexpected text at byte " +
               std::to_string(scan_.position()) + '.';
    }

    core::Fault scan_fault()
    {
        switch (scan_.fault()) {
        case core::JsonFault::DuplicateKey: {
            const auto name = shown(scan_.duplicate(), 64);
            return bad("Duplicate key '" + name + "' in the request body.", "duplicate_key", name);
        }
        case core::JsonFault::Depth:
            return bad("The request body is nested too deeply.", "invalid_json");
        case core::JsonFault::Range:
            return bad("The request body has a number that is too large at byte " + std::to_string(scan_.position()) +
                           '.',
                       "invalid_json");
        default:
            return bad(unparsable(), "invalid_json");
        }
    }

    /// The unescaped name: a view into the body or of a constant, the raw spelling only if it is nothing that we know.
    static std::string_view name_of(const JsonString& key)
    {
        if (!key.escaped) return key.raw;
        const auto text = key.text();
        for (const auto name : known_names)
            if (name == text) return name;
        for (const auto name : forbidden)
            if (name == text) return name;
        return key.raw;
    }

    bool member(const JsonString& key)
    {
        const auto name = name_of(key);
        request_.present.push_back(name);
        if (key.half_surrogate())
            complaint_.add(shown(name, 64), "Invalid name of a parameter: half of a surrogate pair.", "invalid_value");
        if (std::find(forbidden.begin(), forbidden.end(), name) != forbidden.end()) {
            complaint_.add(name,
                           "Unsupported parameter: '" + std::string(name) + "' is not accepted in a request body.",
                           "unsupported_parameter");
            return scan_.skip();
        }
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
            if (name == "model") return model();
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
        bool good = true;
        return extensions_.read(name, request_, good) ? good : scan_.skip();
    }

    bool model()
    {
        has_model_ = true;
        if (scan_.peek() != '"') return fields_.wrong("model", "a string");
        JsonString value;
        if (!scan_.string(value)) return false;
        request_.model = value.text();
        const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
        if (request_.model.empty())
            complaint_.add("model", "Invalid 'model': empty string. Expected the name of a model.", "invalid_value");
        else if (request_.model.size() > longest_model)
            complaint_.add("model",
                           "Invalid 'model': string too long. Expected at most " + std::to_string(longest_model) +
                               " bytes.",
                           "string_above_max_length");
        else if (value.half_surrogate() || std::any_of(request_.model.begin(), request_.model.end(), control))
            complaint_.add("model", "Invalid 'model': it has characters that no model's name has.", "invalid_value");
        return true;
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

    bool stream_options()
    {
        if (scan_.peek() == 'n') return scan_.skip();
        if (scan_.peek() != '{') return fields_.wrong("stream_options", "an object");
        return scan_.object([&](const JsonString& key) {
            if (!key.is("include_usage")) return scan_.skip();
            request_.usage_chosen = scan_.peek() != 'n';
            return fields_.flag("stream_options.include_usage", request_.usage_wanted);
        });
    }

    void finish()
    {
        if (!has_model_) complaint_.add("model", "Missing required parameter: 'model'.", "missing_required_parameter");
        if (!has_messages_)
            complaint_.add("messages", "Missing required parameter: 'messages'.", "missing_required_parameter");
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
        extensions_.finish(request_);
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

    std::string_view body_;
    core::JsonScanner scan_;
    Complaint complaint_;
    FieldReader fields_{scan_, complaint_};
    MessageReader messages_{fields_};
    Extensions extensions_{fields_};
    ChatRequest request_;
    bool has_model_ = false, has_messages_ = false, parallel_ = false, reasoning_on_ = false;
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
