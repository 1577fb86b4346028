// The messages of an OpenAI chat request as turns that other dialects are written from: roles merged, tool calls with ids and parsed
// arguments, each result in the turn right after its call.
#pragma once

#include "media.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace hub {

/// Names of members that the upstream has no word for; told once each, at the end.
class Lost {
public:
    void add(std::string_view name)
    {
        if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.emplace_back(name);
    }
    template <class H>
    void tell(H& out) const
    {
        if constexpr (requires { out.lost(""); })
            for (const auto& name : names_) out.lost(name);
    }

private:
    std::vector<std::string> names_;
};

enum class Kind { Text, Image, File, Audio, Video, Refusal, Call, Result, Thinking, Sealed, Mark };

struct Part {
    Kind kind = Kind::Text;
    std::string text;             ///< of Text, Refusal, Thinking
    Media media;
    json cache;                   ///< cache_control as the client wrote it; null: none
    std::string id, name;         ///< of Call, Result
    json arguments;               ///< of Call: an object
    std::vector<Part> content;    ///< of Result
    bool error = false;           ///< of Result
    std::string signature, format; ///< what must come back unchanged, and whose it is: "anthropic-claude-v1", "google-gemini-v1"
};

enum class Role { User, Assistant };
struct Turn {
    Role role = Role::User;
    std::vector<Part> parts;
};
struct Conversation {
    std::vector<Part> system;
    std::vector<Turn> turns;
};

/// An id that `allowed` characters and `longest` bytes can hold: itself, or a stable stand-in for it.
inline std::string call_id(std::string_view id, std::size_t longest = 64)
{
    std::string out;
    for (const char c : id) out += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ? c : '_';
    if (out == id && out.size() <= longest && !out.empty()) return out;
    std::uint64_t hash = 14695981039346656037u; // FNV-1a
    for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    out = out.substr(0, longest - 9) + '_';
    for (int i = 0; i < 8; ++i, hash >>= 4) out += "0123456789abcdef"[hash & 15];
    return out;
}

/// Arguments are text in OpenAI's form and an object everywhere else. "" is {}; what is no object is kept under "value".
inline json arguments_of(const json& written)
{
    if (written.is_object()) return written;
    if (!written.is_string()) return json::object();
    const auto& text = written.get_ref<const std::string&>();
    if (text.find_first_not_of(" \t\r\n") == text.npos) return json::object();
    json parsed = portolan::parse_or_none(text);
    if (parsed.is_discarded()) return json{{"value", text}};
    return parsed.is_object() ? parsed : parsed.is_null() ? json::object() : json{{"value", parsed}};
}

inline std::string joined_text(const std::vector<Part>& parts, std::string_view between = "\n")
{
    std::string out;
    bool first = true;
    for (const auto& p : parts)
        if (p.kind == Kind::Text || p.kind == Kind::Refusal) {
            if (!std::exchange(first, false)) out += between;
            out += p.text;
        }
    return out;
}

class ConversationReader {
public:
    explicit ConversationReader(Lost& lost) : lost_(lost) {}

    Conversation read(const json& messages)
    {
        for (const auto& m : messages) message(m);
        close_calls();
        return std::move(out_);
    }

private:
    static std::string text_at(const json& o, const char* key)
    {
        const auto at = o.find(key);
        return at != o.end() && at->is_string() ? at->get<std::string>() : std::string();
    }

    void message(const json& m)
    {
        const auto role = text_at(m, "role");
        if (role == "tool" || role == "function") return result(m, role == "function");
        if (role == "system" || role == "developer") return append(out_.system, parts_of(m));
        if (!text_at(m, "name").empty()) lost_.add("messages.name");
        if (role == "assistant") return assistant(m);
        close_calls();
        append(turn(Role::User).parts, parts_of(m));
    }

    void assistant(const json& m)
    {
        close_calls();
        auto& to = turn(Role::Assistant).parts;
        std::map<std::string, std::pair<std::string, std::string>> seals; // call id -> what was sealed for it, whose
        std::vector<Part> free;
        for (const auto& d : m.value("reasoning_details", json::array())) {
            if (!d.is_object()) continue;
            auto p = detail(d);
            const auto id = text_at(d, "id");
            if (p.kind == Kind::Sealed && !id.empty() && has_call(m, id))
                seals[id] = {p.signature, p.format};
            else
                free.push_back(std::move(p));
        }
        give_text(text_at(m, "reasoning_content").empty() ? text_at(m, "reasoning") : text_at(m, "reasoning_content"), m, free);
        append(to, std::move(free));
        append(to, parts_of(m));
        if (const auto refusal = text_at(m, "refusal"); !refusal.empty()) {
            Part p;
            p.kind = Kind::Refusal, p.text = refusal;
            to.push_back(std::move(p));
        }
        if (m.contains("audio") && m["audio"].is_object()) lost_.add("messages.audio");
        const auto add = [&](const std::string& id, const json& function) {
            Part p;
            p.kind = Kind::Call, p.id = id, p.name = text_at(function, "name");
            p.arguments = arguments_of(function.value("arguments", json()));
            if (const auto at = seals.find(id); at != seals.end()) p.signature = at->second.first, p.format = at->second.second;
            open_.push_back({p.id, p.name});
            to.push_back(std::move(p));
        };
        for (const auto& call : m.contains("tool_calls") && m["tool_calls"].is_array() ? m["tool_calls"] : json::array()) {
            if (!call.is_object()) continue;
            const auto custom = call.find("custom");
            auto id = text_at(call, "id");
            if (id.empty()) id = made_id();
            if (custom != call.end() && custom->is_object())
                add(id, {{"name", text_at(*custom, "name")}, {"arguments", {{"input", text_at(*custom, "input")}}}});
            else
                add(id, call.value("function", json::object()));
            const auto signature = portolan::text(call, "/extra_content/google/thought_signature");
            if (!signature.empty()) to.back().signature = signature, to.back().format = "google-gemini-v1";
            if (call.contains("cache_control")) to.back().cache = call["cache_control"];
        }
        if (m.contains("function_call") && m["function_call"].is_object()) add(made_id(), m["function_call"]);
    }

    /// An entry does not repeat the text that it signs: that stands in reasoning_content, one block after another.
    static void give_text(const std::string& all, const json& m, std::vector<Part>& parts)
    {
        std::vector<Part*> signed_parts;
        for (auto& p : parts)
            if (p.kind == Kind::Thinking && p.text.empty()) signed_parts.push_back(&p);
        if (all.empty() || signed_parts.empty() || !m.contains("reasoning_details")) return;
        if (signed_parts.size() == 1) {
            signed_parts[0]->text = all;
            return;
        }
        std::size_t at = 0, which = 0;
        for (const auto& d : m["reasoning_details"]) {
            if (!d.is_object() || text_at(d, "type") != "reasoning.text" || !text_at(d, "text").empty()) continue;
            const auto bytes = portolan::count(d, "/text_bytes");
            if (bytes < 0 || which == signed_parts.size() || at + std::size_t(bytes) > all.size()) return;
            signed_parts[which++]->text = all.substr(at, std::size_t(bytes));
            at += std::size_t(bytes);
        }
    }

    static bool has_call(const json& m, const std::string& id)
    {
        for (const auto& call : m.contains("tool_calls") && m["tool_calls"].is_array() ? m["tool_calls"] : json::array())
            if (call.is_object() && text_at(call, "id") == id) return true;
        return false;
    }

    static Part detail(const json& d)
    {
        Part p;
        p.format = text_at(d, "format");
        if (text_at(d, "type") == "reasoning.encrypted") {
            p.kind = Kind::Sealed, p.signature = text_at(d, "data");
            return p;
        }
        p.kind = Kind::Thinking, p.signature = text_at(d, "signature");
        p.text = text_at(d, "type") == "reasoning.summary" ? text_at(d, "summary") : text_at(d, "text");
        return p;
    }

    /// A result waits until all calls of its turn are answered: they go out together, in the order of the calls.
    void result(const json& m, bool legacy)
    {
        Part p;
        p.kind = Kind::Result, p.id = text_at(m, "tool_call_id"), p.name = text_at(m, "name");
        p.content = parts_of(m);
        const auto error = m.find("is_error");
        p.error = error != m.end() && error->is_boolean() && error->get<bool>();
        if (m.contains("cache_control")) p.cache = m["cache_control"];
        auto call = std::find_if(open_.begin(), open_.end(), [&](const auto& c) { return !c.result && (legacy ? c.name == p.name : c.id == p.id); });
        if (call == open_.end() && p.id.empty()) call = std::find_if(open_.begin(), open_.end(), [](const auto& c) { return !c.result; });
        if (call == open_.end())
            throw portolan::Error(PORTOLAN_E_INVALID, "messages: a tool message must follow the assistant message whose tool_calls it answers (tool_call_id \"" + p.id + "\")");
        p.id = call->id, p.name = call->name;
        call->result = std::move(p);
    }

    /// Before anything else is said, each call has its result: one that was never given is said to be missing.
    void close_calls()
    {
        if (open_.empty()) return;
        std::vector<Part> results;
        for (auto& call : open_) {
            Part p;
            if (call.result)
                p = std::move(*call.result);
            else {
                p.kind = Kind::Result, p.id = call.id, p.name = call.name, p.error = true;
                Part text;
                text.text = "No result was given.";
                p.content.push_back(std::move(text));
            }
            results.push_back(std::move(p));
        }
        open_.clear();
        append(turn(Role::User).parts, std::move(results));
    }

    std::vector<Part> parts_of(const json& m)
    {
        std::vector<Part> out;
        const auto content = m.find("content");
        if (content != m.end() && content->is_string()) {
            Part p;
            p.text = content->get<std::string>();
            if (!p.text.empty()) out.push_back(std::move(p));
        } else if (content != m.end() && content->is_array())
            for (const auto& c : *content)
                if (auto p = part(c)) out.push_back(std::move(*p));
        if (m.contains("cache_control") && !out.empty() && out.back().cache.is_null()) out.back().cache = m["cache_control"];
        return out;
    }

    std::optional<Part> part(const json& c)
    {
        Part p;
        if (c.is_string()) {
            p.text = c.get<std::string>();
            return p;
        }
        if (!c.is_object()) return {};
        const auto type = text_at(c, "type");
        if (c.contains("cache_control")) p.cache = c["cache_control"];
        if (type == "text" || type == "input_text" || type == "output_text") {
            p.text = text_at(c, "text");
            if (p.text.empty()) return {};
        } else if (type == "refusal") {
            p.kind = Kind::Refusal, p.text = text_at(c, "refusal");
        } else if (type == "thinking") {
            p.kind = Kind::Thinking, p.text = text_at(c, "thinking"), p.signature = text_at(c, "signature");
        } else if (type == "image_url" || type == "video_url" || type == "audio_url" || type == "input_image") {
            p.kind = type[0] == 'v' ? Kind::Video : type[0] == 'a' ? Kind::Audio : Kind::Image;
            const auto& where = c.contains(type) ? c[type] : c.contains("image_url") ? c["image_url"] : c;
            p.media = media_at(where.is_string() ? where.get<std::string>() : text_at(where, "url"));
        } else if (type == "input_audio") {
            const auto audio = c.value("input_audio", json::object());
            p.kind = Kind::Audio, p.media.data = text_at(audio, "data");
            const auto format = text_at(audio, "format");
            p.media.type = type_of_name("x." + format);
            if (p.media.type.empty()) p.media.type = "audio/" + format;
        } else if (type == "file" || type == "input_file") {
            file(c.contains("file") && c["file"].is_object() ? c["file"] : c, p);
        } else
            throw portolan::Error(PORTOLAN_E_INVALID, "messages: a content part of type \"" + type + "\" cannot be sent to this provider");
        return p;
    }

    static void file(const json& f, Part& p)
    {
        const auto data = text_at(f, "file_data"), url = text_at(f, "file_url");
        p.kind = Kind::File;
        p.media = media_at(data.empty() ? url : data.find(':') == data.npos ? "data:" + type_of_name(text_at(f, "filename")) + ";base64," + data : data);
        p.media.name = text_at(f, "filename"), p.media.id = text_at(f, "file_id");
        if (p.media.type.empty() || p.media.type == "application/octet-stream") {
            const auto named = type_of_name(p.media.name);
            if (!named.empty()) p.media.type = named;
        }
        if (const auto said = text_at(f, "format"); p.media.type.empty()) p.media.type = said;
        if (p.media.type.starts_with("image/")) p.kind = Kind::Image;
        if (p.media.type.starts_with("audio/")) p.kind = Kind::Audio;
        if (p.media.type.starts_with("video/")) p.kind = Kind::Video;
    }

    Turn& turn(Role role)
    {
        if (out_.turns.empty() || out_.turns.back().role != role) out_.turns.push_back({role, {}});
        return out_.turns.back();
    }
    static void append(std::vector<Part>& to, std::vector<Part>&& from)
    {
        for (auto& p : from) to.push_back(std::move(p));
    }
    std::string made_id() { return "call_" + std::to_string(++made_); }

    struct Open {
        std::string id, name;
        std::optional<Part> result = {};
    };
    Lost& lost_;
    Conversation out_;
    std::vector<Open> open_;
    int made_ = 0;
};

} // namespace hub
