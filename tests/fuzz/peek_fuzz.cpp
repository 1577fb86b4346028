// Reads any bytes as a request and as a chunk: no crash, and no text taken that another parser refuses.
#include "core/json_edit.h"
#include "core/text.h"
#include "dialect/dialect.h"
#include "dialect/openai_chunk.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

/// Lone surrogates are ours to take and theirs to refuse; both refuse numbers that overflow.
bool comparable(std::string_view text)
{
    return text.find("\\ud") == text.npos && text.find("\\uD") == text.npos && !text.starts_with("\xef\xbb\xbf") &&
           text.find('\0') == text.npos;
}

void read_request(std::string_view text)
{
    const auto result = dialect::openai_chat().read(text, 64);
    const bool theirs = nlohmann::json::accept(text);
    if (!result.ok()) {
        const auto& fault = result.fault();
        must(fault.kind == core::FaultKind::BadRequest && !fault.message.empty());
        must(core::is_utf8(dialect::openai_chat().error(fault, {}).body));
        if (comparable(text) && theirs && fault.code == "invalid_json") { // then only for what we refuse beyond JSON
            must(fault.message.find("object") != fault.message.npos ||
                 fault.message.find("nested") != fault.message.npos);
        }
        return;
    }
    if (!comparable(text)) return;
    must(theirs);
    const auto j = nlohmann::json::parse(text);
    must(j.is_object() && j["model"] == result->model && j["messages"].size() == result->messages);
    must(result->present.size() == j.size()); // no key twice
    must(dialect::openai_chat().turns(text).size() == result->messages);
    auto changed = j;
    changed["model"] = "other";
    changed["stream_options"] = nullptr;
    const auto edited = core::splice(text, {{"/model", "\"other\""}, {"/stream_options", "null"}}).joined();
    must(nlohmann::json::parse(edited) == changed);
    changed.erase("messages");
    must(nlohmann::json::parse(core::splice(edited, {{"/messages", ""}}).joined()) == changed);
}

void read_chunk(std::string_view text)
{
    dialect::ChunkFacts facts;
    for (const bool whole : {false, true}) {
        dialect::read_openai(text, whole, facts);
        if (comparable(text) && facts.valid) must(nlohmann::json::accept(text));
        for (const bool stream : {false, true}) {
            const auto writer = dialect::openai_chat().writer(stream, true);
            std::string out;
            writer->begin({"id", "model", 1}, out);
            whole ? writer->result(text, out) : writer->chunk(text, out);
            writer->end(out);
            if (facts.valid && comparable(text) && !stream) must(nlohmann::json::accept(out));
        }
    }
    const auto fault = dialect::fault_of_error_body(static_cast<int>(text.size() % 600), text);
    must(!fault.message.empty() && core::is_utf8(fault.message) && fault.message.size() < 2400);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    read_request(text);
    read_chunk(text);
    // Most inputs are no requests: put into one they reach what lies behind its door.
    read_request(R"({"model":"m","messages":[{"role":"user","content":)" + std::string(text) + R"(}],"stream":true})");
    read_request(R"({"model":"m","messages":[{"role":"user"}],)" + std::string(text) + "}");
    read_chunk(R"({"id":"1","choices":[{"index":0,"delta":)" + std::string(text) + R"(,"finish_reason":"stop"}]})");
    return 0;
}
