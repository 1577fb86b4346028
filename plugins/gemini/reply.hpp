// What generateContent answers, whole or streamed, as events.
#pragma once

#include "../common/media.hpp"

#include <cstring>
#include <map>
#include <optional>
#include <vector>

namespace gemini {

using portolan::json, portolan::text, portolan::count;

/// google.ai.generativelanguage.v1beta.Candidate.FinishReason; some servers send its numbers.
inline std::string_view finish_of(const json& said)
{
    std::string reason = said.is_string() ? said.get<std::string>() : "";
    if (said.is_number_integer()) {
        const auto n = said.get<std::int64_t>();
        reason = n == 2 ? "MAX_TOKENS" : n == 3 || n == 4 || n == 7 || n == 8 || n == 9 || n == 11 ? "SAFETY" : "STOP";
    }
    if (reason == "MAX_TOKENS") return "length";
    if (reason == "SAFETY" || reason == "RECITATION" || reason == "BLOCKLIST" || reason == "PROHIBITED_CONTENT" || reason == "SPII" ||
        reason == "MODEL_ARMOR" || reason == "LANGUAGE" || (reason.starts_with("IMAGE_") && reason != "IMAGE_OTHER"))
        return "content_filter";
    return "stop";
}

/// promptTokenCount includes cached ones; candidatesTokenCount leaves out what was thought, and neither has what tools read.
inline portolan_usage usage_of(const json& u)
{
    const auto n = [&](const char* pointer) { return count(u, pointer); };
    const auto zero = [](std::int64_t v) { return std::max<std::int64_t>(v, 0); };
    const auto by_kind = [&](const char* list, std::string_view kind) {
        std::int64_t sum = -1;
        for (const auto& d : portolan::at<json>(u, list, json::array()))
            if (text(d, "/modality") == kind) sum = zero(sum) + zero(count(d, "/tokenCount"));
        return sum;
    };
    auto out = portolan::usage();
    const auto prompt = n("/promptTokenCount"), tools = n("/toolUsePromptTokenCount"), written = n("/candidatesTokenCount"), thought = n("/thoughtsTokenCount");
    if (prompt >= 0 || tools >= 0) out.input = zero(prompt) + zero(tools);
    if (prompt >= 0 || written >= 0 || thought >= 0) out.output = zero(written) + zero(thought);
    out.cache_read = n("/cachedContentTokenCount"), out.reasoning = thought;
    const auto pictures = by_kind("/promptTokensDetails", "IMAGE"), pages = by_kind("/promptTokensDetails", "DOCUMENT");
    out.audio_input = by_kind("/promptTokensDetails", "AUDIO");
    out.image_input = pages < 0 ? pictures : zero(pictures) + pages; // pages of documents are read as pictures
    out.audio_output = by_kind("/candidatesTokensDetails", "AUDIO");
    return out;
}

inline std::int32_t fault_of(std::int64_t code, std::string_view status, std::string_view message)
{
    const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
    if (says("exceeds the maximum number of tokens") || says("input token count") || says("input context is too long")) return PORTOLAN_FAULT_TOO_LONG;
    if (says("API key not valid") || says("API Key not found") || says("API key expired") || code == 401 || status == "UNAUTHENTICATED" || status == "PERMISSION_DENIED")
        return PORTOLAN_FAULT_AUTH;
    if (says("billing") && code == 402) return PORTOLAN_FAULT_QUOTA;
    if (code == 429 || status == "RESOURCE_EXHAUSTED") return says("PerDay") || says("spending cap") ? PORTOLAN_FAULT_QUOTA : PORTOLAN_FAULT_RATE_LIMIT;
    if (code == 404 || status == "NOT_FOUND") return PORTOLAN_FAULT_NO_MODEL;
    if (code == 503 || status == "UNAVAILABLE") return PORTOLAN_FAULT_OVERLOADED;
    if (code == 504 || status == "DEADLINE_EXCEEDED") return PORTOLAN_FAULT_TIMEOUT;
    if (code >= 500) return PORTOLAN_FAULT_SERVER;
    return PORTOLAN_FAULT_BAD_REQUEST;
}

/// "34.4s" of google.rpc.RetryInfo in microseconds, -1: not said.
inline std::int64_t retry_delay_us(const json& error)
{
    for (const auto& d : portolan::at<json>(error, "/details", json::array())) {
        const auto delay = text(d, "/retryDelay");
        if (delay.empty() || delay.back() != 's') continue;
        std::int64_t us = 0, unit = 1'000'000;
        bool fraction = false;
        for (const char c : delay.substr(0, delay.size() - 1))
            if (c == '.' && !fraction) fraction = true;
            else if (c < '0' || c > '9' || us > 86'400'000'000) return -1;
            else if (!fraction) us = us * 10 + (c - '0') * 1'000'000;
            else us += (c - '0') * (unit /= 10);
        return us;
    }
    return -1;
}

/// Arguments that come in pieces: {"jsonPath":"$.a[0].b","stringValue":"..."} (function calling with streamed arguments).
class PartialArguments {
public:
    void add(const json& piece)
    {
        const auto pointer = pointer_of(text(piece, "/jsonPath"));
        if (!pointer) return;
        try {
            json& at = value_[*pointer];
            if (piece.contains("stringValue") && piece["stringValue"].is_string()) {
                const auto more = piece["stringValue"].get<std::string>();
                at = at.is_string() ? at.get<std::string>() + more : more;
            } else if (piece.contains("numberValue")) at = piece["numberValue"];
            else if (piece.contains("boolValue")) at = piece["boolValue"];
            else at = nullptr;
        } catch (const json::exception&) {
            throw portolan::Error(PORTOLAN_E_UPSTREAM, "a tool call whose arguments do not fit together");
        }
    }
    void set(json whole) { value_ = std::move(whole); }
    [[nodiscard]] std::string written() const { return value_.is_object() ? value_.dump() : "{}"; }

private:
    static std::optional<json::json_pointer> pointer_of(std::string_view path)
    {
        if (!path.starts_with('$')) return {};
        json::json_pointer out;
        std::string name;
        bool far = false; // an index grows a list: not by more than this
        const auto close = [&] {
            far |= name.size() > 4 && name.find_first_not_of("0123456789") == name.npos;
            if (!name.empty()) out.push_back(std::exchange(name, {}));
        };
        for (std::size_t i = 1; i < path.size(); ++i) {
            const char c = path[i];
            if (c == '.' || c == '[' || c == ']') close();
            else if (c == '\'' || c == '"') continue;
            else name += c;
        }
        close();
        return far || out.to_string().size() > 512 ? std::nullopt : std::optional(out);
    }
    json value_ = json::object();
};

class ReplyReader {
public:
    void seed(std::uint64_t seed) { seed_ = seed; }

    /// One chunk of a stream, or a whole answer.
    void read(const json& j, portolan::Events& out)
    {
        if (j.contains("error") && j["error"].is_object()) return error(j["error"], out);
        if (!j.contains("candidates") && !j.contains("usageMetadata") && !j.contains("promptFeedback") && !j.contains("responseId"))
            throw portolan::Error(PORTOLAN_E_UPSTREAM, "something that is no generateContent answer");
        if (!std::exchange(started_, true)) out.start(text(j, "/responseId"), text(j, "/modelVersion"));
        for (const auto& c : portolan::at<json>(j, "/candidates", json::array())) candidate(c, out);
        out.choice(0);
        if (j.contains("usageMetadata")) out.usage(usage_of(j["usageMetadata"]));
        if (const auto why = text(j, "/promptFeedback/blockReason"); !why.empty()) {
            const auto message = text(j, "/promptFeedback/blockReasonMessage");
            out.message(json{{"refusal", message.empty() ? "The prompt was blocked: " + why + '.' : message}}.dump());
            finish(0, "content_filter", out);
        }
    }

    /// The stream is over: what was said last about each answer is final.
    void end(portolan::Events& out)
    {
        for (auto& [index, c] : choices_) {
            out.choice(index);
            close_call(c, out);
            if (!c.finish.empty() && !std::exchange(c.finished, true)) out.finish(c.calls ? "tool_calls" : c.finish);
        }
        out.choice(0);
    }

    static void error(const json& e, portolan::Events& out)
    {
        const auto message = text(e, "/message");
        out.fault(fault_of(count(e, "/code"), text(e, "/status"), message), message, retry_delay_us(e));
    }

private:
    struct Choice {
        unsigned calls = 0;
        bool open = false, finished = false;
        PartialArguments arguments;
        std::string finish;
        std::size_t characters = 0;
    };

    void finish(unsigned index, std::string_view reason, portolan::Events& out)
    {
        auto& c = choices_[index];
        c.finish = reason;
        if (reason != "content_filter" || std::exchange(c.finished, true)) return;
        out.choice(index);
        out.finish(reason);
    }

    void candidate(const json& c, portolan::Events& out)
    {
        const auto index = unsigned(std::clamp<std::int64_t>(count(c, "/index"), 0, 1023));
        auto& choice = choices_[index];
        out.choice(index);
        for (const auto& p : portolan::at<json>(c, "/content/parts", json::array())) part(p, choice, out);
        if (c.contains("groundingMetadata")) grounding(c["groundingMetadata"], choice, out);
        if (c.contains("citationMetadata")) citations(c["citationMetadata"], out);
        if (c.contains("logprobsResult")) logprobs(c["logprobsResult"], out);
        if (c.contains("finishReason") && !c["finishReason"].is_null()) {
            const auto reason = finish_of(c["finishReason"]);
            choice.finish = reason;
        }
    }

    void part(const json& p, Choice& c, portolan::Events& out)
    {
        const bool thought = portolan::at<bool>(p, "/thought");
        const auto signature = text(p, "/thoughtSignature");
        if (p.contains("functionCall")) return call(p["functionCall"], signature, c, out);
        if (const auto piece = text(p, "/text"); !piece.empty()) {
            if (!thought) c.characters += std::size_t(std::count_if(piece.begin(), piece.end(), [](char b) { return (b & 0xc0) != 0x80; }));
            thought ? out.reasoning(piece) : out.text(piece);
        }
        if (p.contains("inlineData") && !thought) picture(p["inlineData"], out);
        if (p.contains("executableCode")) out.lost("executable_code");
        if (p.contains("codeExecutionResult")) out.lost("code_execution_result");
        if (p.contains("fileData")) out.lost("file_data");
        if (!signature.empty() && p.contains("text")) seal(signature, {}, out);
    }

    static void seal(const std::string& signature, const std::string& id, portolan::Events& out)
    {
        json entry{{"type", "reasoning.encrypted"}, {"data", signature}, {"format", "google-gemini-v1"}};
        if (!id.empty()) entry["id"] = id;
        out.message(json{{"reasoning_details", {entry}}}.dump());
    }

    static void picture(const json& data, portolan::Events& out)
    {
        const auto url = "data:" + text(data, "/mimeType") + ";base64," + text(data, "/data");
        out.message(json{{"images", {{{"type", "image_url"}, {"image_url", {{"url", url}}}}}}}.dump());
    }

    /// With willContinue the arguments come in later parts, and a part without it ends them.
    void call(const json& f, const std::string& signature, Choice& c, portolan::Events& out)
    {
        const auto name = text(f, "/name");
        if (!name.empty()) {
            close_call(c, out);
            auto id = text(f, "/id");
            if (id.empty()) id = made_id();
            out.tool_begin(c.calls++, id, name);
            c.open = true, c.arguments = {};
            if (f.contains("args") && f["args"].is_object()) c.arguments.set(f["args"]);
            if (!signature.empty()) seal(signature, id, out);
        }
        for (const auto& piece : portolan::at<json>(f, "/partialArgs", json::array())) c.arguments.add(piece);
        if (!portolan::at<bool>(f, "/willContinue")) close_call(c, out);
    }

    static void close_call(Choice& c, portolan::Events& out)
    {
        if (std::exchange(c.open, false)) out.tool_args(c.calls - 1, c.arguments.written());
    }

    std::string made_id()
    {
        static constexpr char hex[] = "0123456789abcdef";
        auto h = (seed_ ^ ++made_) * 0x9fb21c651e98df25U;
        h ^= h >> 32, h *= 0x9fb21c651e98df25U, h ^= h >> 29;
        std::string out = "call_";
        for (int i = 0; i < 16; ++i, h >>= 4) out += hex[h & 15];
        return out;
    }

    static void grounding(const json& g, const Choice& c, portolan::Events& out)
    {
        json annotations = json::array();
        for (const auto& chunk : portolan::at<json>(g, "/groundingChunks", json::array()))
            if (const auto url = text(chunk, "/web/uri"); !url.empty())
                annotations.push_back({{"type", "url_citation"},
                                       {"url_citation", {{"url", url}, {"title", text(chunk, "/web/title")}, {"start_index", 0}, {"end_index", c.characters}}}});
        if (!annotations.empty()) out.message(json{{"annotations", annotations}}.dump());
    }

    static void citations(const json& m, portolan::Events& out)
    {
        json annotations = json::array();
        for (const auto& s : portolan::at<json>(m, "/citationSources", portolan::at<json>(m, "/citations", json::array())))
            if (const auto url = text(s, "/uri"); !url.empty())
                annotations.push_back({{"type", "url_citation"},
                                       {"url_citation", {{"url", url}, {"title", text(s, "/title")}, {"start_index", std::max<std::int64_t>(0, count(s, "/startIndex"))},
                                                         {"end_index", std::max<std::int64_t>(0, count(s, "/endIndex"))}}}});
        if (!annotations.empty()) out.message(json{{"annotations", annotations}}.dump());
    }

    static json token(const json& t)
    {
        const auto word = text(t, "/token");
        json bytes = json::array();
        for (const char b : word) bytes.push_back(static_cast<unsigned char>(b));
        return {{"token", word}, {"logprob", portolan::at<double>(t, "/logProbability")}, {"bytes", bytes}};
    }
    static void logprobs(const json& l, portolan::Events& out)
    {
        json content = json::array();
        const auto chosen = portolan::at<json>(l, "/chosenCandidates", json::array()), top = portolan::at<json>(l, "/topCandidates", json::array());
        for (std::size_t i = 0; i < chosen.size(); ++i) {
            json entry = token(chosen[i]);
            entry["top_logprobs"] = json::array();
            if (i < top.size())
                for (const auto& t : portolan::at<json>(top[i], "/candidates", json::array())) entry["top_logprobs"].push_back(token(t));
            content.push_back(std::move(entry));
        }
        if (!content.empty()) out.message(json{{"logprobs", {{"content", content}, {"refusal", nullptr}}}}.dump());
    }

    std::map<unsigned, Choice> choices_;
    std::uint64_t seed_ = 0, made_ = 0;
    bool started_ = false;
};

} // namespace gemini
