// Reads any bytes as a request of each dialect, and as chunks that each writes: what comes out is always JSON, and never a crash.
#include "core/text.h"
#include "dialect/dialect.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

/// Lone surrogates are ours to take and theirs to refuse.
bool comparable(std::string_view text) { return text.find("\\ud") == text.npos && text.find("\\uD") == text.npos; }

void read_request(const dialect::Dialect& speaks, const std::string& text)
{
    dialect::Incoming in(text);
    in.path_model = "m";
    const auto result = speaks.read(in, 64);
    if (!result.ok()) {
        must(!result.fault().message.empty() && core::is_utf8(speaks.error(result.fault(), {}).body));
        return;
    }
    for (const bool plain : {false, true}) {
        const auto form = speaks.hub(in, plain);
        if (comparable(text)) must(nlohmann::json::accept(form.json));
        for (const auto& field : form.lost) must(core::is_utf8(field));
    }
    if (comparable(text)) must(nlohmann::json::parse(result->hub)["messages"].size() == result->messages);
}

/// The JSON in a stream of events.
void check_events(const std::string& out)
{
    for (std::size_t at = 0; (at = out.find("data: ", at)) != out.npos;) {
        const auto end = std::min(out.find("\n\n", at), out.find("\r\n\r\n", at)); // Gemini's lines end as Google's do
        must(end != out.npos && nlohmann::json::accept(out.substr(at + 6, end - at - 6)));
        at = end;
    }
}

void write_answer(const dialect::Dialect& speaks, std::string_view text)
{
    for (const bool stream : {false, true}) {
        const auto writer = speaks.writer(stream, true);
        std::string out;
        writer->begin({"id_1", "model", 1}, out);
        writer->chunk(text, out);
        writer->text(0, text.substr(0, text.size() / 2), out); // cut anywhere, also inside of a character
        writer->tool_begin(0, 1, "a", "f", out);
        writer->tool_args(0, 1, text.substr(text.size() / 2), out);
        writer->message(0, text, out);
        writer->result(text, out);
        writer->finish(0, text.substr(0, 20), out);
        writer->end(out);
        if (!comparable(text)) continue;
        stream ? check_events(out) : must(nlohmann::json::accept(out));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    for (const auto* speaks : {&dialect::anthropic_messages(), &dialect::openai_responses(), &dialect::gemini_events(), &dialect::gemini_array()}) {
        read_request(*speaks, text);
        // Most inputs are no requests: put into one they reach what lies behind its door.
        for (const char* list : {"messages", "input", "contents"}) {
            const std::string head = R"({"model":"m",")" + std::string(list) + "\":";
            read_request(*speaks, head + R"([{"role":"user","content":)" + text + "}]}");
            read_request(*speaks, head + R"([{"role":"assistant","content":)" + text + "}]}");
            read_request(*speaks, head + R"([{"role":"model","parts":)" + text + "}]}");
            read_request(*speaks, head + "[" + text + "]}");
            read_request(*speaks, head + "[]," + text + "}");
        }
        write_answer(*speaks, text);
        write_answer(*speaks, R"({"id":"1","choices":[{"index":0,"delta":)" + text + R"(,"finish_reason":"stop"}]})");
    }
    return 0;
}
