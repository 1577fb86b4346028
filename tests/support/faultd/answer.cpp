#include "support/faultd/answer.h"

namespace faultd {

namespace {

constexpr std::string_view openai_head = R"({"id":"chatcmpl-faultd","object":"chat.completion.chunk","created":1,"model":"faultd",)";

std::string openai_delta(std::string_view delta, std::string_view finish = "null")
{
    std::string out = "data: ";
    out.append(openai_head).append(R"("choices":[{"index":0,"delta":)").append(delta);
    return out.append(R"(,"finish_reason":)").append(finish).append("}]}\n\n");
}

std::string anthropic_event(std::string_view name, std::string_view members)
{
    std::string out = "event: ";
    out.append(name).append("\ndata: {\"type\":\"").append(name).append("\"").append(members.empty() ? "" : ",").append(members);
    return out.append("}\n\n");
}

std::string anthropic_text(std::string_view text)
{
    return anthropic_event("content_block_delta",
                           R"("index":0,"delta":{"type":"text_delta","text":")" + std::string(text) + "\"}");
}

Pieces openai_stream()
{
    Pieces p;
    p.non_content = openai_delta(R"({"role":"assistant","content":""})");
    p.content = openai_delta(R"({"content":"Hello"})") + openai_delta(R"({"content":" from faultd"})");
    p.finish = openai_delta("{}", "\"stop\"");
    p.usage.append("data: ").append(openai_head);
    p.usage += R"("choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}})" "\n\n";
    p.done = "data: [DONE]\n\n";
    return p;
}

Pieces openai_whole()
{
    Pieces p;
    p.non_content = R"({"id":"chatcmpl-faultd","object":"chat.completion","created":1,"model":"faultd",)";
    p.content = R"("choices":[{"index":0,"message":{"role":"assistant","content":"Hello from faultd"},)";
    p.finish = R"("finish_reason":"stop"}],)";
    p.usage = R"("usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7})";
    p.done = "}";
    return p;
}

Pieces anthropic_stream()
{
    Pieces p;
    p.non_content =
        anthropic_event("message_start", R"("message":{"id":"msg_faultd","type":"message","role":"assistant","model":"faultd",)"
                                         R"("content":[],"stop_reason":null,"stop_sequence":null,)"
                                         R"("usage":{"input_tokens":3,"output_tokens":0}})") +
        anthropic_event("ping", {});
    p.content = anthropic_event("content_block_start", R"("index":0,"content_block":{"type":"text","text":""})") +
                anthropic_text("Hello") + anthropic_text(" from faultd");
    p.finish = anthropic_event("content_block_stop", R"("index":0)") +
               anthropic_event("message_delta", R"("delta":{"stop_reason":"end_turn","stop_sequence":null},)"
                                                R"("usage":{"output_tokens":4})");
    p.done = anthropic_event("message_stop", {});
    return p;
}

Pieces anthropic_whole()
{
    Pieces p;
    p.non_content = R"({"id":"msg_faultd","type":"message","role":"assistant","model":"faultd",)";
    p.content = R"("content":[{"type":"text","text":"Hello from faultd"}],)";
    p.finish = R"("stop_reason":"end_turn","stop_sequence":null,)";
    p.usage = R"("usage":{"input_tokens":3,"output_tokens":4})";
    p.done = "}";
    return p;
}

} // namespace

Pieces pieces_of(const Request& request)
{
    if (request.protocol == Protocol::Anthropic) return request.stream ? anthropic_stream() : anthropic_whole();
    return request.stream ? openai_stream() : openai_whole();
}

std::string error_json(Protocol protocol, std::string_view type, std::string_view message, std::string_view code)
{
    std::string out = protocol == Protocol::Anthropic ? R"({"type":"error","error":{"type":")" : R"({"error":{"type":")";
    out.append(type).append(R"(","message":")").append(message).append("\"");
    if (protocol == Protocol::OpenAi) {
        out += R"(,"param":null,"code":)";
        code.empty() ? out += "null" : out.append("\"").append(code).append("\"");
    }
    return out += "}}";
}

std::string error_event(Protocol protocol, std::string_view type, std::string_view message, std::string_view code)
{
    const std::string name = protocol == Protocol::Anthropic ? "event: error\n" : "";
    return name + "data: " + error_json(protocol, type, message, code) + "\n\n";
}

std::string empty_event(Protocol protocol)
{
    return protocol == Protocol::Anthropic ? anthropic_event("ping", {}) : openai_delta("{}");
}

std::string content_event(Protocol protocol, std::string_view text)
{
    if (protocol == Protocol::Anthropic) return anthropic_text(text);
    return openai_delta(R"({"content":")" + std::string(text) + "\"}");
}

std::string raw_event(Protocol protocol, std::string_view data)
{
    std::string out = protocol == Protocol::Anthropic ? "event: content_block_delta\ndata: " : "data: ";
    return out.append(data).append("\n\n");
}

std::string head_of(int status, std::string_view content_type, std::string_view framing, std::string_view more)
{
    std::string out = "HTTP/1.1 " + std::to_string(status) + (status == 200 ? " OK" : " Fault") + "\r\n";
    if (!content_type.empty()) out.append("content-type: ").append(content_type).append("\r\n");
    return out.append(framing).append("\r\n").append(more).append("\r\n");
}

std::string chunk_of(std::string_view bytes)
{
    std::string size;
    for (auto n = bytes.size(); n > 0; n >>= 4) size.insert(size.begin(), "0123456789abcdef"[n & 15]);
    return size.append("\r\n").append(bytes).append("\r\n");
}

std::string reply_of(int status, std::string_view body, std::string_view content_type, std::string_view more)
{
    return head_of(status, content_type, "content-length: " + std::to_string(body.size()), more).append(body);
}

} // namespace faultd
