// What the top levels of all request bodies have in common: strictness, the model's name, our extensions.
#include "dialect/body_reader.h"

#include "dialect/json_body.h"

#include <algorithm>
#include <array>

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

/// The unescaped name: a view into the body or of a constant, the raw spelling only if it is nothing that we know.
std::string_view name_of(const JsonString& key)
{
    if (!key.escaped) return key.raw;
    const auto text = key.text();
    for (const auto name : known_names)
        if (name == text) return name;
    for (const auto name : forbidden)
        if (name == text) return name;
    return key.raw;
}

} // namespace

BodyReader::BodyReader(std::string_view body, std::size_t max_depth) : scan_(body, max_depth, true), body_(body)
{
    request_.bytes = body;
    request_.present.reserve(16);
}

core::Result<ChatRequest> BodyReader::run()
{
    if (auto fault = unfit(body_, scan_)) return *std::move(fault);
    if (!scan_.object([this](const JsonString& key) { return top_member(key); }) || !scan_.end()) return json_fault(scan_);
    if (!has_model_ && usual_model().empty()) missing("model");
    if (!has_model_) request_.model = usual_model();
    finish();
    extensions_.finish(request_);
    if (complaint_.any()) return complaint_.take();
    return std::move(request_);
}

bool BodyReader::stream_options()
{
    if (scan_.peek() == 'n') return scan_.skip();
    if (scan_.peek() != '{') return fields_.wrong("stream_options", "an object");
    return scan_.object([&](const JsonString& key) {
        if (!key.is("include_usage")) return scan_.skip();
        request_.usage_chosen = scan_.peek() != 'n';
        return fields_.flag("stream_options.include_usage", request_.usage_wanted);
    });
}

void BodyReader::missing(std::string_view param)
{
    complaint_.add(param, "Missing required parameter: '" + std::string(param) + "'.", "missing_required_parameter");
}

bool BodyReader::top_member(const JsonString& key)
{
    const auto name = name_of(key);
    request_.present.push_back(name);
    if (key.half_surrogate())
        complaint_.add(shown(name, 64), "Invalid name of a parameter: half of a surrogate pair.", "invalid_value");
    if (std::find(forbidden.begin(), forbidden.end(), name) != forbidden.end()) {
        complaint_.add(name, "Unsupported parameter: '" + std::string(name) + "' is not accepted in a request body.",
                       "unsupported_parameter");
        return scan_.skip();
    }
    return name == "model" ? model() : member(name);
}

bool BodyReader::other(std::string_view name)
{
    bool good = true;
    return extensions_.read(name, request_, good) ? good : scan_.skip();
}

bool BodyReader::model()
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

} // namespace dialect
