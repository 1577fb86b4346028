// JSON nested without end, from a client or an upstream: refused or kept as text, never followed until the stack is used up.
#include "exchange.h"

#include <catch2/catch.hpp>

#include <algorithm>

using abi::Asked, abi::Exchange, abi::json;

namespace {

constexpr const char* providers[] = {"anthropic", "azure-openai", "bedrock", "cohere", "gemini", "mistral", "ollama", "openai-compatible", "openai-responses", "vertex"};

std::string bottomless(const std::string& before, const std::string& after)
{
    constexpr std::size_t levels = 300'000;
    return before + std::string(levels, '[') + std::string(levels, ']') + after;
}

std::string file_of(std::string component)
{
    if (component == "vertex") return "gemini.so";
    std::replace(component.begin(), component.end(), '-', '_');
    return component + ".so";
}

template <class Use>
void with_each(Use&& use)
{
    for (const std::string name : providers) {
        const abi::PluginFile file(abi::plugins_folder() / file_of(name));
        json config{{"base_url", "http://127.0.0.1:1"}};
        if (name == "vertex") config["project"] = "p", config["location"] = "l";
        if (name == "openai-compatible") config["think_tags"] = config["repair"] = true;
        const abi::Instance provider(file, name, config);
        INFO(name);
        use(provider, name);
    }
}

json chat(bool stream) { return {{"stream", stream}, {"model", "m"}, {"json", {{"model", "m"}, {"stream", stream}, {"max_tokens", 9}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}}}}; }

} // namespace

TEST_CASE("arguments and results that are nested without end are sent on as text")
{
    with_each([](const abi::Instance& provider, const std::string&) {
        auto request = chat(false);
        const json call{{"id", "t1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", bottomless("{\"a\":", "}")}}}};
        request["json"]["messages"].push_back({{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {call}}});
        request["json"]["messages"].push_back({{"role", "tool"}, {"tool_call_id", "t1"}, {"content", bottomless("", "")}});
        const Asked asked(request);
        Exchange x(provider, asked);
        const auto sent = x.request();
        INFO(x.said.failure);
        CHECK(x.status == PORTOLAN_OK);
        if (sent.contains("body")) CHECK(sent.at("body").get<std::string>().find("[[[[") != std::string::npos);
    });
}

TEST_CASE("an upstream's reply that is nested without end is an upstream's fault")
{
    struct Reply {
        const char *kind, *before, *after;
    };
    constexpr Reply replies[] = {
        {"whole", R"({"content":[{"type":"tool_use","id":"t","name":"f","input":)", R"(}],"stop_reason":"tool_use"})"},
        {"whole", R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":)", R"(}}}]},"finishReason":"STOP"}]})"},
        {"whole", R"({"output":{"message":{"content":[{"toolUse":{"toolUseId":"t","name":"f","input":)", R"(}}]}},"stopReason":"tool_use"})"},
        {"whole", R"({"message":{"content":"<think>","tool_calls":[{"function":{"name":"f","arguments":)", R"(}}]},"done":true})"},
        {"whole", R"({"choices":[{"index":0,"message":{"content":"<think>a","x":)", R"(},"finish_reason":"stop"}]})"},
        {"whole", R"({"status":"completed","output":[{"type":"function_call","name":"f","call_id":"t","arguments":"{}","x":)", R"(}]})"},
        {"sse", "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":", "}}\n\n"},
        {"sse", R"(data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":)", "}}}]},\"finishReason\":\"STOP\"}]}\n\n"},
        {"sse", R"(data: {"choices":[{"index":0,"delta":{"content":"<think>a","x":)", "}}]}\n\n"},
        {"sse", R"(data: {"type":"response.output_item.done","item":{"type":"function_call","name":"f","call_id":"t","x":)", "}}\n\n"},
        {"line", R"({"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":)", "}}}]},\"done\":true}\n"},
    };
    with_each([&](const abi::Instance& provider, const std::string&) {
        for (const auto& r : replies) {
            const Asked asked(chat(std::string_view(r.kind) != "whole"));
            Exchange x(provider, asked);
            x.request();
            const auto body = bottomless(r.before, r.after);
            x.reply({{"kind", r.kind}, {"body", body}}, body.size());
            INFO(r.before);
            for (const auto& e : x.said.events) // what it cannot read it tells as it came: the host refuses it
                if (e.at("kind") != "chunk" && e.at("kind") != "result") CHECK(e.value("data", "").find("[[[[") == std::string::npos);
        }
        const Asked asked(chat(false));
        Exchange x(provider, asked);
        x.request();
        x.classify(400, bottomless("{\"error\":{\"message\":", "}}"));
        CHECK(x.said.events.size() <= 1);
    });
}
