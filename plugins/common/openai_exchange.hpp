// One exchange with an upstream that speaks OpenAI, exactly or nearly: what every such plugin has in common.
#pragma once

#include "responses.hpp"
#include "think.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

namespace hub::openai {

struct Operation {
    std::int32_t op;
    std::string_view name, path;
};
inline constexpr Operation operations[] = {
    {PORTOLAN_OP_CHAT, "chat", "/chat/completions"},
    {PORTOLAN_OP_COMPLETIONS, "completions", "/completions"},
    {PORTOLAN_OP_EMBEDDINGS, "embeddings", "/embeddings"},
    {PORTOLAN_OP_MODERATIONS, "moderations", "/moderations"},
    {PORTOLAN_OP_RERANK, "rerank", "/rerank"},
    {PORTOLAN_OP_IMAGE_GENERATE, "image_generate", "/images/generations"},
    {PORTOLAN_OP_IMAGE_EDIT, "image_edit", "/images/edits"},
    {PORTOLAN_OP_SPEECH, "speech", "/audio/speech"},
    {PORTOLAN_OP_TRANSCRIBE, "transcribe", "/audio/transcriptions"},
    {PORTOLAN_OP_RESPONSES, "responses", "/responses"},
    {PORTOLAN_OP_MODELS, "models", "/models"},
    {PORTOLAN_OP_HEALTH, "health", "/models"},
};

struct Settings {
    explicit Settings(std::string_view text)
    {
        const json c = json::parse(text);
        stream_usage = c.value("stream_usage", true), repair = c.value("repair", false), think_tags = c.value("think_tags", false);
        max_tokens_field = c.value("max_tokens_field", "");
        drop = c.value("drop", std::vector<std::string>{});
        const auto how = c.value("auth", "bearer");
        auth = how == "none" ? "" : how == "bearer" ? "key" : how == "api-key" ? "api_key" : "x_api_key";
        for (const auto& o : operations) paths[o.op] = o.path;
        const auto overrides = c.value("paths", json::object());
        for (const auto& o : operations) {
            const auto path = overrides.find(o.name);
            if (path == overrides.end()) continue;
            paths[o.op] = path->get<std::string>();
            if (!paths[o.op].starts_with('/'))
                throw portolan::Error(PORTOLAN_E_INVALID, "paths." + std::string(o.name) + " must begin with /");
        }
    }
    bool stream_usage;
    bool repair;     ///< answers are told to the host and written anew by it, never relayed
    bool think_tags; ///< <think> in the text is reasoning
    std::string max_tokens_field, auth;
    std::vector<std::string> drop; ///< JSON pointers are made of these: ~ and / in a name are escaped there
    std::map<std::int32_t, std::string> paths;
};

/// The members of a request that this plugin may have to change, as they stand in the text; empty: not there.
struct Members {
    /// `names`: whether has() is asked for others than these.
    Members(std::string_view text, bool names)
    {
        if (names) keys.reserve(16);
        portolan::members(text, [&](std::string_view key, std::string_view value) {
            if (key == "stream") stream = value;
            if (key == "stream_options") stream_options = value;
            if (key == "max_tokens") max_tokens = value;
            if (key == "max_completion_tokens") max_completion_tokens = value;
            if (names) keys.push_back(key);
        });
    }
    bool has(std::string_view name) const { return std::find(keys.begin(), keys.end(), name) != keys.end(); }
    std::string_view stream, stream_options, max_tokens, max_completion_tokens;
    std::vector<std::string_view> keys;
};

inline bool has_member(std::string_view object, std::string_view name)
{
    bool found = false;
    portolan::members(object, [&](std::string_view key, std::string_view) { found |= key == name; });
    return found;
}

/// An object with one of its members under another name: Voyage's list of ranks is called data.
inline std::string renamed(std::string_view object, std::string_view from, std::string_view to)
{
    std::string out;
    portolan::members(object, [&](std::string_view key, std::string_view value) {
        (((out += out.empty() ? "{\"" : ",\"") += key == from ? to : key) += "\":") += value;
    });
    return out + '}';
}

/// Where a chunk may have usage, npos: nowhere. The quote before it is too frequent to be looked for.
inline std::size_t usage_in(std::string_view chunk) { return chunk.find("usage\""); }

/// The usage named at `name` if the chunk has nothing but words and numbers behind it, as most have: no other member needs a look. Empty: look at all.
inline std::string_view usage_at_the_end(std::string_view chunk, std::size_t name)
{
    if (name < 2 || chunk[name - 1] != '"' || chunk[name - 2] == '\\') return {};
    const auto colon = chunk.find_first_not_of(" \t\r\n", name + 6);
    if (colon == chunk.npos || chunk[colon] != ':') return {};
    const auto from = chunk.find_first_not_of(" \t\r\n", colon + 1);
    if (from == chunk.npos) return {};
    const auto end = portolan::value_end(chunk, from);
    const auto closed = chunk.find_first_of("{}[]", end); // the one brace that is left is the chunk's own: so the member is, too
    if (closed == chunk.npos || chunk[closed] != '}' || chunk.find_first_not_of(" \t\r\n", closed + 1) != chunk.npos) return {};
    return chunk.substr(from, end - from);
}

/// The chunk that exists for usage alone. A first chunk may have empty choices too (content filters), but no usage.
inline bool only_usage(std::string_view chunk)
{
    if (usage_in(chunk) == chunk.npos) return false;
    bool no_choices = false, usage = false;
    portolan::members(chunk, [&](std::string_view key, std::string_view value) {
        if (key == "choices")
            no_choices = value.front() == '[' && value.find_first_not_of(" \t\r\n", 1) == value.size() - 1;
        if (key == "usage") usage = value.front() == '{';
    });
    return no_choices && usage;
}

inline std::string pointer_to(std::string_view name) { return (json::json_pointer() / std::string(name)).to_string(); }

class Exchange : public portolan::Exchange {
public:
    Exchange(const Settings& s, const portolan::Request& rq)
        : s_(s), op_(rq.op()), native_(rq.native()), stream_(rq.stream()),
          responses_(rq.dialect() == PORTOLAN_DIALECT_RESPONSES || rq.op() == PORTOLAN_OP_RESPONSES),
          hide_usage_(rq.native() && !rq.usage_wanted()), reader_(rq.text_wanted())
    {
        if (!s_.paths.contains(op_)) throw portolan::Error(PORTOLAN_E_UNSUPPORTED, "no such operation here");
    }

    void request(const portolan::Call&, const portolan::Request& rq, portolan::Http& out) override
    {
        auto path = path_for(responses_ ? PORTOLAN_OP_RESPONSES : op_, rq.model());
        static constexpr std::string_view spoken = "/transcriptions";
        if (const auto at = path.rfind(spoken); op_ == PORTOLAN_OP_TRANSCRIBE && at != path.npos && has_member(rq.json(), "portolan_task"))
            path.replace(at, spoken.size(), "/translations");
        if (!s_.auth.empty()) out.auth(s_.auth);
        if (op_ == PORTOLAN_OP_MODELS || op_ == PORTOLAN_OP_HEALTH) {
            out.get(path);
            return;
        }
        out.post(path);
        if (op_ == PORTOLAN_OP_SPEECH) out.framing(PORTOLAN_FRAME_RAW);
        if (!rq.parts().empty()) return forward_form(rq, out);
        out.edit("/model", portolan::quoted(rq.model()));
        const Members has(rq.json(), !s_.drop.empty());
        if (streams_in_json()) edit_stream(has, out);
        if (op_ == PORTOLAN_OP_CHAT && !responses_) edit_max_tokens(has, out);
        for (const auto& name : s_.drop)
            if (has.has(name)) out.edit(pointer_to(name), {});
    }

    /// What the host is to judge is told before the bytes are given: it may refuse the RAW event of a chunk that turned
    /// out to be an error, and then another candidate answers instead.
    void frame(const portolan::Call&, const portolan::Frame& f, portolan::Events& out) override
    {
        if (f.kind() == PORTOLAN_FRAME_RAW) return out.bytes(f.reply().header("content-type"), f.data());
        if (responses_) return responses_frame(f, out);
        if (op_ == PORTOLAN_OP_RERANK && !has_member(f.data(), "results") && has_member(f.data(), "data") && json::accept(f.data())) { // half a list is none
            const auto result = renamed(f.data(), "data", "results");
            out.result(result);
            return tell_usage(result, out);
        }
        const auto data = f.data().substr(std::min(f.data().size(), f.data().find_first_not_of(" \t\r\n")));
        const bool done = !f.whole() && (data.empty() || data.starts_with("[DONE]"));
        if (op_ == PORTOLAN_OP_TRANSCRIBE && f.whole() && !data.starts_with('{')) // subtitles or plain text
            return stream_ ? out.result(json{{"text", f.raw()}}.dump()) : out.bytes(f.reply().header("content-type"), f.raw());
        if (!f.whole() && (op_ == PORTOLAN_OP_TRANSCRIBE || op_ == PORTOLAN_OP_IMAGE_GENERATE || op_ == PORTOLAN_OP_IMAGE_EDIT)) return media_event(f, done ? std::string_view() : data, out);
        if (s_.repair && op_ == PORTOLAN_OP_CHAT) return tell(data, f.whole(), done, out);
        if (!done) f.whole() ? out.result(data) : out.chunk(data);
        if (!done) tell_usage(data, out);
        const bool relay = native_ && f.whole() != stream_; // a shape that was not asked for is assembled by the host
        if (!relay && op_ == PORTOLAN_OP_CHAT) ended(data, done, out);
        if (relay && !(hide_usage_ && !f.whole() && !done && only_usage(data))) out.raw(f.raw());
    }

    bool end(const portolan::Call&, portolan::Events& out) override
    {
        if (!held_.empty()) out.raw(std::exchange(held_, {}));
        if (s_.think_tags) end_thinking(out);
        return false;
    }

    /// Two refusals that asking differently mends; all others the host knows better.
    void classify(const portolan::Call&, const portolan::Reply& r, portolan::Events& out) override
    {
        if (r.status() != 400 && r.status() != 422) return;
        const auto says = [&](std::string_view word) { return r.body().find(word) != r.body().npos; };
        if (asked_usage_ && (says("stream_options") || says("include_usage"))) {
            refuse_usage_ = true;
            out.fault(PORTOLAN_FAULT_BAD_REQUEST, "stream_options refused", -1, PORTOLAN_FAULT_REBUILD);
        } else if (sent_max_tokens_ && s_.max_tokens_field.empty() && says("'max_completion_tokens' instead")) {
            rename_max_tokens_ = true;
            out.fault(PORTOLAN_FAULT_BAD_REQUEST, "max_tokens refused", -1, PORTOLAN_FAULT_REBUILD);
        }
    }

protected:
    /// Below the base URL.
    [[nodiscard]] virtual std::string path_for(std::int32_t op, std::string_view) const { return s_.paths.at(op); }

    const Settings& s_; // of the component, which outlives its exchanges
    std::int32_t op_;
    bool native_, stream_, responses_, hide_usage_;

private:
    void responses_frame(const portolan::Frame& f, portolan::Events& out)
    {
        const bool relay = native_ && f.whole() != stream_; // a shape that was not asked for is put together by the host
        if (native_ && !relay) return f.whole() ? reply_.whole(portolan::parse(f.data()), out) : reply_.event(f, out);
        reader_.read(f, out);
        if (relay && ResponsesReader::opening(f)) return void(held_ += f.raw());
        if (relay && !held_.empty()) out.raw(std::exchange(held_, {}));
        if (relay) out.raw(f.raw());
    }

    /// Where a chunk has a usage object: what the host reads for itself is OpenAI's meaning of it, providers have others.
    static void tell_usage(std::string_view chunk, portolan::Events& out)
    {
        const auto name = usage_in(chunk);
        if (name == chunk.npos) return;
        const auto tell = [&](std::string_view value) {
            if (!value.starts_with('{')) return;
            const auto usage = openai_usage(value);
            if (said(usage)) out.usage(usage);
        };
        if (const auto value = usage_at_the_end(chunk, name); !value.empty()) return tell(value);
        portolan::members(chunk, [&](std::string_view key, std::string_view value) {
            if (key == "usage") tell(value);
        });
    }

    /// Nothing is relayed: the host writes an answer of its own from what it reads, so that no client meets what this upstream does differently.
    void tell(std::string_view data, bool whole, bool done, portolan::Events& out)
    {
        if (done && s_.think_tags) end_thinking(out);
        ended(data, done, out);
        if (done) return;
        if (s_.think_tags && data.find("\"content\"") != data.npos)
            told_apart(data, whole, out);
        else
            whole ? out.result(data) : out.chunk(data);
        tell_usage(data, out);
    }

    /// An event of a transcript or of a picture, which may be megabytes long: transcript.text.delta, image_generation.partial_image, image_edit.completed.
    /// Its bytes are the client's; the host hears that there was something, of usage and errors, and of the end.
    void media_event(const portolan::Frame& f, std::string_view data, portolan::Events& out) const
    {
        const auto type = type_of(data);
        if (!data.empty()) out.chunk(data), tell_usage(data, out);
        const bool last = type.ends_with(".done") || type.ends_with(".completed");
        if (last) out.finish("stop");
        else if (type.ends_with(".delta") || type.ends_with(".partial_image")) out.text(type); // what it says is not told, only that it does
        if (native_) out.raw(f.raw());
    }

    /// [DONE] is an end, too; it counts only if no reason was given before. Where bytes are relayed the host reads it there.
    void ended(std::string_view data, bool done, portolan::Events& out)
    {
        if (done && content_seen_ && !data.empty()) out.finish("stop");
        content_seen_ = content_seen_ || (!done && data.find("\"choices\":[]") == data.npos);
    }

    /// The chunk with its text split into text and reasoning; damage is for the host to find.
    void told_apart(std::string_view data, bool whole, portolan::Events& out)
    {
        auto chunk = portolan::parse_or_none(data);
        if (chunk.is_object() && chunk.contains("choices") && chunk["choices"].is_array())
            for (auto& choice : chunk["choices"]) {
                if (!choice.is_object()) continue;
                const auto message = choice.find(whole ? "message" : "delta");
                if (message == choice.end() || !message->is_object() || !message->contains("content") || !(*message)["content"].is_string()) continue;
                auto& splitter = think_[portolan::at<unsigned>(choice, "/index")];
                std::string text, thought;
                const auto to_text = [&](std::string_view s) { text += s; };
                const auto to_thought = [&](std::string_view s) { thought += s; };
                splitter.add((*message)["content"].get_ref<const std::string&>(), to_text, to_thought);
                if (whole || (choice.contains("finish_reason") && choice["finish_reason"].is_string())) splitter.end(to_text, to_thought);
                (*message)["content"] = text;
                if (!thought.empty()) (*message)["reasoning_content"] = thought;
            }
        const auto written = chunk.is_discarded() ? std::string(data) : chunk.dump(-1, ' ', false, json::error_handler_t::replace);
        whole ? out.result(written) : out.chunk(written);
    }

    void end_thinking(portolan::Events& out)
    {
        for (auto& [choice, splitter] : think_) {
            out.choice(choice);
            splitter.end([&](std::string_view s) { out.text(s); }, [&](std::string_view s) { out.reasoning(s); });
        }
        out.choice(0);
    }

    bool streams_in_json() const
    {
        return op_ == PORTOLAN_OP_CHAT || op_ == PORTOLAN_OP_COMPLETIONS || op_ == PORTOLAN_OP_RESPONSES;
    }

    void edit_stream(const Members& has, portolan::Http& out)
    {
        if (stream_ != (has.stream == "true")) out.edit("/stream", stream_ ? "true" : "false");
        asked_usage_ = false;
        if (responses_) return;
        if (!stream_) { // refused by many without a stream
            if (!has.stream_options.empty()) out.edit("/stream_options", {});
            return;
        }
        const bool object = has.stream_options.starts_with('{');
        if (!s_.stream_usage || refuse_usage_ || (object && has_member(has.stream_options, "include_usage"))) return;
        asked_usage_ = true;
        if (object)
            out.edit("/stream_options/include_usage", "true");
        else
            out.edit("/stream_options", R"({"include_usage":true})");
    }

    void edit_max_tokens(const Members& has, portolan::Http& out)
    {
        const std::string_view want =
            rename_max_tokens_ ? "max_completion_tokens" : std::string_view(s_.max_tokens_field);
        const bool to_new = want == "max_completion_tokens";
        sent_max_tokens_ = !has.max_tokens.empty() && !to_new;
        if (want.empty()) return;
        const auto from = to_new ? has.max_tokens : has.max_completion_tokens;
        const auto present = to_new ? has.max_completion_tokens : has.max_tokens;
        if (from.empty()) return;
        out.edit(to_new ? "/max_tokens" : "/max_completion_tokens", {});
        if (present.empty()) out.edit(pointer_to(want), from);
    }

    /// The fields as they came; the files never pass through here.
    /// Every field as it came, but those that the host took out of the JSON or that are to be dropped.
    void forward_form(const portolan::Request& rq, portolan::Http& out) const
    {
        const Members has(rq.json(), true);
        for (std::size_t i = 0; i < rq.parts().size(); ++i) {
            const auto& p = *rq.parts()[i];
            const auto name = portolan::view(p.field);
            const bool is_text = portolan::view(p.filename).empty() && p.text.size > 0;
            if (is_text && (!has.has(name) || std::find(s_.drop.begin(), s_.drop.end(), name) != s_.drop.end())) continue;
            out.form(portolan::view(p.field), portolan::view(p.filename), portolan::view(p.content_type));
            if (portolan::view(p.field) == "model")
                out.body(rq.model());
            else
                out.part(i);
        }
    }

    ResponsesReader reader_;
    ResponseReply reply_;
    bool asked_usage_ = false, refuse_usage_ = false, sent_max_tokens_ = false, rename_max_tokens_ = false;
    bool content_seen_ = false;
    std::map<unsigned, ThinkSplitter> think_; // by choice
    std::string held_;
};

} // namespace hub::openai
