// One walk over the messages.
#include "dialect/message_reader.h"

#include <cstring>

namespace dialect {

using core::JsonString;

namespace {

constexpr std::uint64_t mix(std::uint64_t h, std::uint64_t word) noexcept
{
    h = (h ^ word) * 0x9fb21c651e98df25U;
    return h ^ (h >> 32);
}

std::uint64_t word_at(const char* at) noexcept
{
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    return word;
}

} // namespace

std::uint64_t hash_text(std::string_view text, std::uint64_t seed) noexcept
{
    std::uint64_t h[4] = {seed, seed ^ 0x9e3779b97f4a7c15U, seed ^ 0xc2b2ae3d27d4eb4fU, seed ^ 0x165667b19e3779f9U};
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 32; at += 32, left -= 32) // four lanes: their multiplications overlap
        for (int lane = 0; lane < 4; ++lane) h[lane] = mix(h[lane], word_at(at + 8 * lane));
    std::uint64_t all = mix(mix(mix(h[0], h[1]), h[2]), h[3]);
    for (; left >= 8; at += 8, left -= 8) all = mix(all, word_at(at));
    std::uint64_t rest = 0;
    for (std::size_t i = 0; i < left; ++i) rest |= std::uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
    return mix(mix(all, rest), text.size());
}

MessageReader::Role MessageReader::role_of(const JsonString& role)
{
    if (role.is("user")) return Role::User;
    if (role.is("assistant")) return Role::Assistant;
    if (role.is("system") || role.is("developer")) return Role::System;
    return role.raw.empty() ? Role::None : Role::Other;
}

bool MessageReader::read(ChatRequest& request)
{
    auto& scan = fields_.scan();
    if (scan.peek() != '[') return fields_.wrong("messages", "an array of objects");
    Seen seen;
    std::size_t at = 0;
    bool system = false, user = false;
    const bool good = scan.array([&] {
        seen.role = Role::None;
        seen.texts.clear();
        if (!message(request, at++, seen)) return false;
        bool& first = seen.role == Role::System ? system : user;
        if ((seen.role == Role::System || seen.role == Role::User) && !first) {
            first = true;
            for (const auto& text : seen.texts)
                request.prefix_hash = hash_text(text.raw, request.prefix_hash + static_cast<unsigned>(seen.role));
        }
        return true;
    });
    if (at == 0 && good)
        fields_.complaint().add(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "empty_array");
    request.messages = static_cast<std::uint32_t>(at);
    if (seen.role == Role::Assistant) request.features |= core::Prefill;
    return good;
}

bool MessageReader::message(ChatRequest& request, std::size_t at, Seen& seen)
{
    auto& scan = fields_.scan();
    const auto param = [at](std::string_view member) {
        return "messages[" + std::to_string(at) + ']' + std::string(member);
    };
    if (scan.peek() != '{') return fields_.wrong(param(""), "an object");
    bool has_role = false;
    const bool good = scan.object([&](const JsonString& key) {
        if (key.is("role")) {
            has_role = true;
            if (scan.peek() != '"') return fields_.wrong(param(".role"), "a string");
            JsonString role;
            if (!scan.string(role)) return false;
            seen.role = role_of(role);
            if (seen.role == Role::None)
                fields_.complaint().add(
                    param(".role"), "Invalid value: ''. '" + param(".role") + "' must not be empty.", "invalid_value");
            return true;
        }
        if (key.is("content")) {
            const char next = scan.peek();
            if (next != '"' && next != '[' && next != 'n')
                return fields_.wrong(param(".content"), "a string or an array of parts");
            return content(request, seen);
        }
        if (key.is("tool_calls") || key.is("function_call")) {
            std::string_view calls;
            if (!scan.skip(calls)) return false;
            bytes_ += calls.size();
            return true;
        }
        if (key.is("cache_control")) request.features |= core::CacheMarks;
        return scan.skip();
    });
    if (good && !has_role)
        fields_.complaint().add(param(".role"), "Missing required parameter: '" + param(".role") + "'.",
                                "missing_required_parameter");
    return good;
}

/// A string, an array of parts, or anything else inside of a part.
bool MessageReader::content(ChatRequest& request, Seen& seen)
{
    auto& scan = fields_.scan();
    switch (scan.peek()) {
    case '"': {
        JsonString text;
        if (!scan.string(text)) return false;
        bytes_ += text.bytes;
        seen.texts.push_back(text);
        return true;
    }
    case '[':
        return scan.array([&] { return content(request, seen); });
    case '{':
        return part(request, seen);
    default:
        return scan.skip();
    }
}

/// An object anywhere in the content: pictures hide in tool results too.
bool MessageReader::part(ChatRequest& request, Seen& seen)
{
    auto& scan = fields_.scan();
    bool image = false;
    const bool good = scan.object([&](const JsonString& key) {
        if (key.is("type") && scan.peek() == '"') {
            JsonString type;
            if (!scan.string(type)) return false;
            image = image || type.is("image_url") || type.is("input_image") || type.is("image");
            if (type.is("input_audio") || type.is("audio_url")) request.features |= core::AudioIn;
            if (type.is("file") || type.is("input_file") || type.is("document")) request.features |= core::Files;
            return true;
        }
        if ((key.is("text") || key.is("content")) && scan.peek() == '"') return content(request, seen);
        if (key.is("image_url") || key.is("input_image")) image = true;
        if (key.is("input_audio")) request.features |= core::AudioIn;
        if (key.is("cache_control")) request.features |= core::CacheMarks;
        const char next = scan.peek();
        return next == '{' ? part(request, seen) : next == '[' ? parts(request, seen) : scan.skip();
    });
    if (image) ++request.images, request.features |= core::Images;
    return good;
}

/// An array inside of a part, in which lone strings are no texts.
bool MessageReader::parts(ChatRequest& request, Seen& seen)
{
    auto& scan = fields_.scan();
    return scan.array([&] {
        const char next = scan.peek();
        return next == '{' ? part(request, seen) : next == '[' ? parts(request, seen) : scan.skip();
    });
}

std::vector<ChatRequest::Turn> MessageReader::turns(std::string_view body)
{
    std::vector<ChatRequest::Turn> out;
    core::JsonScanner scan(body, 1000, false);
    Complaint none;
    FieldReader fields(scan, none);
    MessageReader reader(fields);
    ChatRequest ignored;
    Seen seen;
    scan.object([&](const JsonString& key) {
        if (!key.is("messages")) return scan.skip();
        return scan.array([&] {
            seen.role = Role::None;
            seen.texts.clear();
            if (!reader.message(ignored, 0, seen)) return false;
            auto& turn = out.emplace_back(ChatRequest::Turn{static_cast<int>(seen.role), {}});
            for (const auto& text : seen.texts) turn.text += (turn.text.empty() ? "" : "\n") + text.text();
            return true;
        });
    });
    return out;
}

} // namespace dialect
