#include "support/faultd/answer.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace faultd {

namespace {

using Kind = Action::Kind;

constexpr std::array<std::pair<std::string_view, Phase>, 7> phases{{{"before_headers", Phase::BeforeHeaders},
                                                                     {"headers_only", Phase::HeadersOnly},
                                                                     {"non_content", Phase::NonContent},
                                                                     {"after_content", Phase::AfterContent},
                                                                     {"after_finish", Phase::AfterFinish},
                                                                     {"before_done", Phase::BeforeDone},
                                                                     {"reused", Phase::Reused}}};

enum class Where { Anywhere, InsteadOfAnswer, InStream };

/// A whole reply that is sent in place of an answer.
struct Instead {
    std::string_view name;
    int status;
    std::string_view type, message, code, headers;
};
constexpr Instead statuses[] = {
    {"400", 400, "invalid_request_error", "temperature is too high", "invalid_value", ""},
    {"400_context", 400, "invalid_request_error", "This model's maximum context length is 8192 tokens.", "context_length_exceeded", ""},
    {"400_key", 400, "invalid_request_error", "API key not valid. Please pass a valid API key.", "", ""},
    {"400_policy", 400, "invalid_request_error", "Your request was rejected as a result of our safety system.", "content_policy_violation", ""},
    {"400_tool", 400, "invalid_request_error", "Failed to call a function.", "tool_use_failed", ""},
    {"401", 401, "authentication_error", "Incorrect API key provided: sk-faultd-0123456789abcdef0123.", "invalid_api_key", ""},
    {"402", 402, "invalid_request_error", "Insufficient Balance", "", ""},
    {"403", 403, "permission_error", "Your account may not use this.", "", ""},
    {"404_model", 404, "invalid_request_error", "The model `x` does not exist.", "model_not_found", ""},
    {"408", 408, "timeout_error", "Request timed out.", "", ""},
    {"409", 409, "conflict_error", "The resource is locked.", "", ""},
    {"413", 413, "invalid_request_error", "The body is too large.", "", ""},
    {"422", 422, "invalid_request_error", "messages[0] is odd", "", ""},
    {"425", 425, "server_error", "Too early.", "", ""},
    {"429", 429, "rate_limit_error", "Slow down.", "rate_limit_exceeded", ""},
    {"429_context", 429, "invalid_request_error", "The input token count exceeds the maximum", "", ""},
    {"429_long", 429, "rate_limit_error", "Slow down.", "rate_limit_exceeded", "retry-after: 60\r\n"},
    {"429_quota", 429, "insufficient_quota", "You exceeded your current quota.", "insufficient_quota", ""},
    {"429_short", 429, "rate_limit_error", "Slow down.", "rate_limit_exceeded", "retry-after-ms: 500\r\n"},
    {"500", 500, "server_error", "The server had an error.", "", ""},
    {"502", 502, "server_error", "Bad gateway.", "", ""},
    {"503", 503, "server_error", "The server is busy.", "", ""},
    {"504", 504, "server_error", "The model took too long.", "", ""},
    {"529", 529, "overloaded_error", "Overloaded", "", ""},
};

constexpr std::string_view page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>portal</body></html>";

/// An error or nonsense as one event of a stream.
struct InStream {
    std::string_view name, type, message, code;
};
constexpr InStream stream_errors[] = {
    {"error_auth", "authentication_error", "invalid x-api-key", ""},
    {"error_invalid", "invalid_request_error", "that cannot be done", ""},
    {"error_overloaded", "overloaded_error", "Overloaded", ""},
    {"error_rate_limit", "rate_limit_error", "Slow down.", ""},
    {"error_server", "api_error", "Internal server error", ""},
    {"error_timeout", "timeout_error", "The model took too long.", ""},
};

struct Named {
    std::string_view name;
    Where where;
};
constexpr Named others[] = {
    {"ok", Where::InsteadOfAnswer},
    {"reset", Where::Anywhere},       {"close", Where::Anywhere},        {"stall", Where::Anywhere},      {"late", Where::Anywhere},
    {"garbage", Where::Anywhere},
    {"eof", Where::InStream},
    {"comments", Where::InStream},    {"empty_events", Where::InStream}, {"endless", Where::InStream},    {"flood", Where::InStream},
    {"error_in_choice", Where::InStream}, {"bad_json", Where::InStream}, {"cut_json", Where::InStream},   {"bad_utf8", Where::InStream},
    {"not_object", Where::InStream},
    {"array_200", Where::InsteadOfAnswer},   {"empty_200", Where::InsteadOfAnswer}, {"error_200", Where::InsteadOfAnswer},
    {"html_200", Where::InsteadOfAnswer},    {"no_choices_200", Where::InsteadOfAnswer}, {"text_200", Where::InsteadOfAnswer},
    {"html_502", Where::InsteadOfAnswer},    {"empty_503", Where::InsteadOfAnswer}, {"redirect", Where::InsteadOfAnswer},
};

const Instead* status_named(std::string_view name)
{
    const auto* end = std::end(statuses);
    const auto* at = std::find_if(std::begin(statuses), end, [&](const auto& s) { return s.name == name; });
    return at == end ? nullptr : at;
}

const InStream* stream_error_named(std::string_view name)
{
    const auto* end = std::end(stream_errors);
    const auto* at = std::find_if(std::begin(stream_errors), end, [&](const auto& s) { return s.name == name; });
    return at == end ? nullptr : at;
}

std::optional<Where> where_of(std::string_view fault)
{
    if (status_named(fault)) return Where::InsteadOfAnswer;
    if (stream_error_named(fault)) return Where::InStream;
    for (const auto& o : others)
        if (o.name == fault) return o.where;
    return std::nullopt;
}

bool fits(Where where, Phase phase)
{
    const bool in_body = phase != Phase::BeforeHeaders && phase != Phase::Reused;
    return where == Where::Anywhere || (where == Where::InsteadOfAnswer) == !in_body;
}

std::string instead_of_answer(const std::string& fault, Protocol protocol)
{
    if (const auto* s = status_named(fault))
        return reply_of(s->status, error_json(protocol, s->type, s->message, s->code), "application/json", s->headers);
    if (fault == "html_200") return reply_of(200, page, "text/html");
    if (fault == "html_502") return reply_of(502, page, "text/html");
    if (fault == "empty_200") return reply_of(200, "");
    if (fault == "empty_503") return reply_of(503, "", "");
    if (fault == "error_200") return reply_of(200, error_json(protocol, "overloaded_error", "Overloaded"));
    if (fault == "text_200") return reply_of(200, "upstream connect error", "text/plain");
    if (fault == "array_200") return reply_of(200, "[1,2,3]");
    if (fault == "no_choices_200") return reply_of(200, R"({"id":"chatcmpl-faultd","object":"chat.completion","choices":[]})");
    return reply_of(302, "", "", "location: http://127.0.0.1:1/\r\n"); // redirect
}

/// The bytes of the answer that stand between two phases, framed as its head says.
class Answer {
public:
    explicit Answer(const Request& request) : request_(request), pieces_(pieces_of(request)) {}

    std::string head() const
    {
        if (request_.stream) return head_of(200, "text/event-stream", "transfer-encoding: chunked");
        return head_of(200, "application/json", "content-length: " + std::to_string(body().size()));
    }
    std::string framed(std::string_view bytes) const { return request_.stream && !bytes.empty() ? chunk_of(bytes) : std::string(bytes); }
    std::string last() const { return request_.stream ? "0\r\n\r\n" : ""; }

    /// From the very beginning up to `phase`.
    std::string until(Phase phase) const
    {
        if (phase == Phase::BeforeHeaders || phase == Phase::Reused) return {};
        std::string out = head();
        const std::string_view parts[] = {pieces_.non_content, pieces_.content, pieces_.finish, pieces_.usage};
        for (int i = 0; i < static_cast<int>(phase) - static_cast<int>(Phase::HeadersOnly); ++i) out += framed(parts[i]);
        return out;
    }
    std::string whole() const { return until(Phase::BeforeDone) + framed(pieces_.done) + last(); }

private:
    std::string body() const { return pieces_.non_content + pieces_.content + pieces_.finish + pieces_.usage + pieces_.done; }

    const Request& request_;
    Pieces pieces_;
};

/// What a fault in the body of a stream sends, as one event; empty: it is no event.
std::string event_of(const std::string& fault, Protocol protocol)
{
    if (const auto* e = stream_error_named(fault)) return error_event(protocol, e->type, e->message, e->code);
    if (fault == "bad_json") return raw_event(protocol, "{not json");
    if (fault == "cut_json") return raw_event(protocol, R"({"id":"chatcmpl-faultd","choices":[{"index":0,"delta":{"content":"He)");
    if (fault == "bad_utf8") return raw_event(protocol, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\"}}]}");
    if (fault == "not_object") return raw_event(protocol, "[1,2,3]");
    if (fault == "error_in_choice")
        return raw_event(protocol, R"({"id":"gen","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":""},)"
                                   R"("finish_reason":"error"}],"error":{"code":502,"message":"Provider returned error"}})");
    return {};
}

void add_fault(const Entry& entry, const Request& request, const Answer& answer, Script& out)
{
    const auto& fault = entry.fault;
    const auto every = entry.number > 0 ? entry.number : 20;
    const auto repeat = [&](const std::string& event, std::int64_t ms) { out.push_back({Kind::Repeat, answer.framed(event), ms}); };
    if (fault == "reset")
        out.push_back({Kind::Reset});
    else if (fault == "close")
        out.push_back({Kind::Close});
    else if (fault == "stall")
        out.push_back({Kind::Hang});
    else if (fault == "garbage") {
        out.push_back({Kind::Send, "zzzz\r\n\x01\x02 this is no HTTP\r\n\r\n"});
        out.push_back({Kind::Close});
    } else if (fault == "eof")
        out.push_back({Kind::Send, answer.last()});
    else if (fault == "comments")
        repeat(": still here\n\n", every);
    else if (fault == "empty_events")
        repeat(empty_event(request.protocol), every);
    else if (fault == "endless")
        repeat(content_event(request.protocol, "more "), every);
    else if (fault == "flood")
        repeat(content_event(request.protocol, std::string(8000, 'x')), 0);
    else { // an event; what follows it would be a good end, which must not be believed
        out.push_back({Kind::Send, answer.framed(event_of(fault, request.protocol))});
        out.push_back({Kind::Send, answer.framed(pieces_of(request).done) + answer.last()});
    }
}

} // namespace

std::optional<Entry> parse_entry(std::string_view text)
{
    const auto trim = [](std::string_view s) {
        while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
        while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
        return s;
    };
    text = trim(text);
    Entry entry;
    const auto at = text.find('@');
    if (at != text.npos) {
        const auto* phase = std::find_if(phases.begin(), phases.end(), [&](const auto& p) { return p.first == text.substr(at + 1); });
        if (phase == phases.end()) return std::nullopt;
        entry.phase = phase->second;
    }
    auto name = text.substr(0, at);
    if (const auto colon = name.find(':'); colon != name.npos) {
        const auto digits = name.substr(colon + 1);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), entry.number);
        if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
        name = name.substr(0, colon);
    }
    entry.fault = name;
    const auto where = where_of(name);
    if (!where) return std::nullopt;
    if (at == text.npos && *where == Where::InStream) entry.phase = Phase::AfterContent;
    if (!fits(*where, entry.phase)) return std::nullopt;
    return entry;
}

std::optional<std::vector<Entry>> parse_plan(std::string_view text)
{
    std::vector<Entry> plan;
    while (true) {
        const auto comma = text.find(',');
        const auto entry = parse_entry(text.substr(0, comma));
        if (!entry) return std::nullopt;
        plan.push_back(*entry);
        if (comma == text.npos) return plan;
        text.remove_prefix(comma + 1);
    }
}

Script script_for(const Entry& entry, const Request& request)
{
    const Answer answer(request);
    if (entry.fault == "ok") return {{Kind::Send, answer.whole()}};
    Script out;
    const auto before = answer.until(entry.phase);
    if (!before.empty()) out.push_back({Kind::Send, before});
    if (entry.fault == "late") {
        out.push_back({Kind::Pause, {}, entry.number > 0 ? entry.number : 1000});
        out.push_back({Kind::Send, answer.whole().substr(before.size())});
    } else if (where_of(entry.fault) == Where::InsteadOfAnswer)
        out.push_back({Kind::Send, instead_of_answer(entry.fault, request.protocol)});
    else
        add_fault(entry, request, answer, out);
    return out;
}

std::string fault_list()
{
    std::string out;
    const auto add = [&](std::string_view name) {
        out += name;
        for (const auto& [phase, value] : phases)
            if (fits(*where_of(name), value)) out.append(" ").append(phase);
        out += '\n';
    };
    for (const auto& s : statuses) add(s.name);
    for (const auto& s : stream_errors) add(s.name);
    for (const auto& s : others)
        if (s.name != "ok") add(s.name);
    return out;
}

} // namespace faultd
