// Requests and operations in the numbers of the ABI.
#include "plugin/request.h"

#include "core/features.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace plugin {

// The host's enumerations are those of the ABI, so that nothing is looked up on the way.
#define SAME(ours, theirs) static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs))
SAME(core::Tools, PORTOLAN_FEATURE_TOOLS);
SAME(core::ParallelTools, PORTOLAN_FEATURE_PARALLEL_TOOLS);
SAME(core::ServerTools, PORTOLAN_FEATURE_SERVER_TOOLS);
SAME(core::Images, PORTOLAN_FEATURE_IMAGES);
SAME(core::Files, PORTOLAN_FEATURE_FILES);
SAME(core::AudioIn, PORTOLAN_FEATURE_AUDIO_IN);
SAME(core::AudioOut, PORTOLAN_FEATURE_AUDIO_OUT);
SAME(core::JsonObject, PORTOLAN_FEATURE_JSON_OBJECT);
SAME(core::JsonSchema, PORTOLAN_FEATURE_JSON_SCHEMA);
SAME(core::Reasoning, PORTOLAN_FEATURE_REASONING);
SAME(core::Logprobs, PORTOLAN_FEATURE_LOGPROBS);
SAME(core::Choices, PORTOLAN_FEATURE_CHOICES);
SAME(core::Prefill, PORTOLAN_FEATURE_PREFILL);
SAME(core::CacheMarks, PORTOLAN_FEATURE_CACHE_MARKS);
SAME(core::Stream, PORTOLAN_FEATURE_STREAM);
SAME(dispatch::Op::Chat, PORTOLAN_OP_CHAT);
SAME(dispatch::Op::Completions, PORTOLAN_OP_COMPLETIONS);
SAME(dispatch::Op::Embeddings, PORTOLAN_OP_EMBEDDINGS);
SAME(dispatch::Op::Moderations, PORTOLAN_OP_MODERATIONS);
SAME(dispatch::Op::Rerank, PORTOLAN_OP_RERANK);
SAME(dispatch::Op::ImageGenerate, PORTOLAN_OP_IMAGE_GENERATE);
SAME(dispatch::Op::ImageEdit, PORTOLAN_OP_IMAGE_EDIT);
SAME(dispatch::Op::Speech, PORTOLAN_OP_SPEECH);
SAME(dispatch::Op::Transcribe, PORTOLAN_OP_TRANSCRIBE);
SAME(dispatch::Op::Responses, PORTOLAN_OP_RESPONSES);
SAME(dispatch::Op::CountTokens, PORTOLAN_OP_COUNT_TOKENS);
SAME(dispatch::Op::Models, PORTOLAN_OP_MODELS);
SAME(dispatch::Op::Health, PORTOLAN_OP_HEALTH);
SAME(dispatch::Dialect::OpenAi, PORTOLAN_DIALECT_OPENAI);
SAME(dispatch::Dialect::Responses, PORTOLAN_DIALECT_RESPONSES);
SAME(dispatch::Dialect::Anthropic, PORTOLAN_DIALECT_ANTHROPIC);
SAME(dispatch::Dialect::Gemini, PORTOLAN_DIALECT_GEMINI);
SAME(dispatch::Dialect::Bedrock, PORTOLAN_DIALECT_BEDROCK);
SAME(dispatch::EventKind::Start, PORTOLAN_EV_START);
SAME(dispatch::EventKind::Text, PORTOLAN_EV_TEXT);
SAME(dispatch::EventKind::Reasoning, PORTOLAN_EV_REASONING);
SAME(dispatch::EventKind::ToolBegin, PORTOLAN_EV_TOOL_BEGIN);
SAME(dispatch::EventKind::ToolArgs, PORTOLAN_EV_TOOL_ARGS);
SAME(dispatch::EventKind::Finish, PORTOLAN_EV_FINISH);
SAME(dispatch::EventKind::Usage, PORTOLAN_EV_USAGE);
SAME(dispatch::EventKind::Fault, PORTOLAN_EV_FAULT);
SAME(dispatch::EventKind::Chunk, PORTOLAN_EV_CHUNK);
SAME(dispatch::EventKind::Result, PORTOLAN_EV_RESULT);
SAME(dispatch::EventKind::Extra, PORTOLAN_EV_EXTRA);
SAME(dispatch::EventKind::Bytes, PORTOLAN_EV_BYTES);
SAME(dispatch::EventKind::Raw, PORTOLAN_EV_RAW);
SAME(dispatch::EventKind::Message, PORTOLAN_EV_MESSAGE);
SAME(dispatch::EventKind::Lost, PORTOLAN_EV_LOST);
#undef SAME

portolan_request abi_request(const dispatch::ProviderRequest& from, const Component& about, RequestStore& store)
{
    auto& [headers, parts, part_pointers] = store;
    headers.clear(), parts.clear(), part_pointers.clear();
    for (const auto& p : from.parts)
        parts.push_back({sizeof(portolan_part), 0, to_abi(p.field), to_abi(p.filename), to_abi(p.content_type), static_cast<std::int64_t>(p.bytes.size()),
                         p.file ? portolan_str{} : to_abi(p.bytes)});
    for (const auto& p : parts) part_pointers.push_back(&p);
    for (const auto& [name, value] : from.headers)
        if (std::find(about.client_headers.begin(), about.client_headers.end(), name) != about.client_headers.end())
            headers.push_back({to_abi(name), to_abi(value)});
    portolan_request r{};
    r.struct_size = sizeof r;
    r.op = static_cast<std::int32_t>(from.op);
    r.dialect = static_cast<std::int32_t>(from.dialect);
    r.flags = bit_if(from.stream, PORTOLAN_REQ_STREAM) | bit_if(from.native, PORTOLAN_REQ_NATIVE) | bit_if(from.text_wanted, PORTOLAN_REQ_TEXT) |
              bit_if(from.usage_wanted, PORTOLAN_REQ_USAGE);
    r.step = from.step, r.choices = from.choices;
    r.model = to_abi(from.model), r.json = to_abi(from.json);
    r.headers = headers.data(), r.header_count = headers.size();
    r.parts = part_pointers.data(), r.part_count = part_pointers.size();
    r.features = from.features, r.deadline_us = from.deadline_us;
    r.est_input_tokens = from.est_input_tokens, r.est_output_tokens = from.est_output_tokens, r.max_output_tokens = from.max_output_tokens;
    r.messages = from.messages, r.tools = from.tools, r.images = from.images, r.reasoning = from.reasoning;
    r.model_output_tokens = from.model_output_tokens;
    return r;
}

void fill_pairs(std::span<const dispatch::Pair> pairs, std::vector<portolan_pair>& out)
{
    out.clear();
    out.reserve(pairs.size());
    for (const auto& [name, value] : pairs) out.push_back({to_abi(name), to_abi(value)});
}

namespace {

/// The place of `name` in `names`, from 1; 0 if it is none of them.
template <std::size_t N>
std::int32_t number_of(std::string_view name, const std::array<std::string_view, N>& names)
{
    const auto it = std::find(names.begin(), names.end(), name);
    return it == names.end() ? 0 : static_cast<std::int32_t>(it - names.begin()) + 1;
}
constexpr std::array<std::string_view, 5> dialect_names{"openai", "responses", "anthropic", "gemini", "bedrock"};

std::uint32_t bits_of(const std::vector<std::string>& dialects)
{
    std::uint32_t bits = 0;
    for (const auto& name : dialects)
        if (const auto n = number_of(name, dialect_names)) bits |= 1u << n;
    return bits;
}

/// The setting `dialects` of a component that has one.
std::uint32_t chosen(const std::string& config)
{
    const auto settings = nlohmann::json::parse(config, nullptr, false);
    if (!settings.is_object() || !settings.contains("dialects") || !settings["dialects"].is_array()) return 0;
    std::vector<std::string> names;
    for (const auto& name : settings["dialects"])
        if (name.is_string()) names.push_back(name);
    return bits_of(names);
}

} // namespace

OpTable::OpTable(const Component& about, const std::string& config)
{
    const auto also = chosen(config);
    for (const auto& [name, lists] : about.ops)
        if (const auto op = number_of(name, core::op_names))
            rows_.push_back({static_cast<dispatch::Op>(op), bits_of(lists.native) | (bits_of(lists.optional) & also), bits_of(lists.translates), lists.bodyless});
}

dispatch::Match OpTable::match(dispatch::Op op, dispatch::Dialect client) const
{
    const auto row = std::find_if(rows_.begin(), rows_.end(), [op](const Row& r) { return r.op == op; });
    if (row == rows_.end()) return {};
    if (row->bodyless) return {.ok = true};
    const auto has = [](std::uint32_t bits, dispatch::Dialect d) { return (bits >> static_cast<unsigned>(d)) & 1u; };
    if (has(row->native, client)) return {.ok = true, .native = true, .dialect = client, .spoken = true};
    if (op == dispatch::Op::Responses) return {};
    if (has(row->translates, client)) return {.ok = true, .dialect = client};
    if (has(row->translates, dispatch::Dialect::OpenAi)) return {.ok = true, .dialect = dispatch::Dialect::OpenAi};
    if (has(row->native, dispatch::Dialect::OpenAi)) return {.ok = true, .dialect = dispatch::Dialect::OpenAi, .spoken = true};
    return {};
}

} // namespace plugin
