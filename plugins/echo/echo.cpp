// Says back the last user message, one word at a time, or as many words as wanted: an upstream for tests, demos and
// measuring.
#include <portolan/json.hpp>

#include <algorithm>
#include <limits>
#include <optional>

namespace {

using portolan::json;

constexpr std::string_view blank = " \t\r\n";
constexpr std::int64_t words_per_step = 64; // without a delay: few calls, and still a stream

struct Settings {
    explicit Settings(std::string_view text)
    {
        const json c = json::parse(text);
        delay_us = c.value("delay_ms", std::int64_t{0}) * 1000;
        first_delay_us = c.value("first_delay_ms", std::int64_t{0}) * 1000;
        tokens = c.value("tokens", std::int64_t{0});
        failure_rate = c.value("failure_rate", 0.0);
        fail_after = c.value("fail_after", std::int64_t{0});
        prefix = c.value("prefix", "");
        tool_call = c.value("tool_call", "");
        finish = c.value("finish", "stop");
    }
    std::int64_t delay_us, first_delay_us, tokens, fail_after;
    double failure_rate;
    std::string prefix, tool_call, finish;
};

/// A string, or the text parts of a list, one after the other.
std::string text_of(const json& message)
{
    const auto content = message.find("content");
    if (content == message.end()) return {};
    if (content->is_string()) return content->get<std::string>();
    std::string all;
    if (content->is_array())
        for (const auto& part : *content)
            if (part.is_object() && portolan::text(part, "/type") == "text") all += portolan::text(part, "/text");
    return all;
}

std::int64_t words_in(std::string_view text)
{
    std::int64_t n = 0;
    for (std::size_t at = 0; (at = text.find_first_not_of(blank, at)) != text.npos; ++n)
        at = std::min(text.size(), text.find_first_of(blank, at));
    return n;
}

/// What is to be said, handed out word by word, the white space after a word with it.
class Speech {
public:
    /// `words` 0: all of text, exactly. Otherwise that many words, beginning again at the end.
    Speech(std::string text, std::int64_t words) : text_(std::move(text)), left_(words ? words : endless), again_(words)
    {
        if (!again_) return;
        std::string even;
        for (std::size_t at = 0; (at = text_.find_first_not_of(blank, at)) != text_.npos;) {
            const auto end = std::min(text_.size(), text_.find_first_of(blank, at));
            even.append(text_, at, end - at) += ' ';
            at = end;
        }
        text_ = even.empty() ? "echo " : even;
    }

    bool done() const { return left_ == 0 || (at_ == text_.size() && !again_); }

    std::string_view next()
    {
        if (at_ == text_.size()) at_ = 0;
        const std::string_view all = text_;
        const auto word = std::min(all.size(), all.find_first_not_of(blank, at_));
        const auto space = std::min(all.size(), all.find_first_of(blank, word));
        const auto end = std::min(all.size(), all.find_first_not_of(blank, space));
        auto piece = all.substr(at_, end - at_);
        at_ = end;
        --left_;
        if (again_ && left_ == 0) piece.remove_suffix(1);
        return piece;
    }

    void rewind(std::int64_t words) { at_ = 0, left_ = words ? words : endless; }

private:
    static constexpr std::int64_t endless = std::numeric_limits<std::int64_t>::max();
    std::string text_;
    std::int64_t left_;
    bool again_;
    std::size_t at_ = 0;
};

/// The name of the tool to call, if the request offers tools, none has answered yet, and the settings want one.
std::optional<std::string> tool_for(const Settings& s, const json& rq)
{
    const auto tools = rq.find("tools");
    if (s.tool_call.empty() || tools == rq.end() || !tools->is_array() || tools->empty()) return {};
    if (portolan::text(rq, "/tool_choice") == "none") return {};
    const auto& messages = rq.at("messages");
    if (!messages.empty() && portolan::text(messages.back(), "/role") == "tool") return {};
    return s.tool_call == "auto" ? portolan::text(tools->front(), "/function/name") : s.tool_call;
}

class EchoRun : public portolan::Run {
public:
    EchoRun(const Settings& s, const portolan::Call& call, const portolan::Request& rq)
        : s_(s), model_(rq.model()), id_(hex(call.seed())), choices_(rq.choices()), speech_({}, 0)
    {
        const json in = json::parse(rq.json());
        std::string last;
        for (const auto& m : in.at("messages")) {
            auto text = text_of(m);
            heard_ += words_in(text);
            if (portolan::text(m, "/role") == "user") last = std::move(text);
        }
        const auto format = portolan::text(in, "/response_format/type");
        tool_ = tool_for(s, in);
        const auto as_json = [&](const char* key) {
            return json{{key, last}}.dump(-1, ' ', false, json::error_handler_t::replace);
        };
        words_ = 0;
        if (tool_)
            arguments_ = as_json("text");
        else if (format == "json_object" || format == "json_schema")
            speech_ = Speech(as_json("echo"), 0);
        else
            speech_ = Speech((s.prefix.empty() ? "" : '[' + s.prefix + "] ") + last, words_ = s.tokens);
        fails_ = s.failure_rate > 0 && double(mixed(call.seed()) >> 11) * 0x1p-53 < s.failure_rate;
    }

    bool step(const portolan::Call&, portolan::Events& out) override
    {
        if (fails_) return out.fault(PORTOLAN_FAULT_OVERLOADED, "echo is overloaded, as configured"), false;
        if (!waited_ && s_.first_delay_us > 0) {
            waited_ = true;
            out.later_us(s_.first_delay_us);
            return true;
        }
        if (!started_) out.start("echo-" + id_, model_);
        started_ = true;
        out.choice(choice_);
        if (tool_) return call_tool(out);
        for (std::int64_t n = s_.delay_us > 0 ? 1 : words_per_step; n > 0 && !speech_.done(); --n) {
            if (s_.fail_after > 0 && said_ >= s_.fail_after)
                return out.fault(PORTOLAN_FAULT_SERVER, "echo broke off, as configured"), false;
            out.text(speech_.next());
            ++said_;
        }
        if (!speech_.done()) return wait(out);
        out.finish(s_.finish);
        return next_choice(out);
    }

private:
    bool call_tool(portolan::Events& out)
    {
        constexpr std::size_t key = sizeof(R"({"text":)") - 1;
        out.tool_begin(0, "call_" + id_ + (choice_ ? "_" + std::to_string(choice_) : ""), *tool_);
        out.tool_args(0, std::string_view(arguments_).substr(0, key)); // in two pieces, as upstreams do
        out.tool_args(0, std::string_view(arguments_).substr(key));
        said_ += words_in(arguments_);
        out.finish("tool_calls");
        return next_choice(out);
    }

    bool next_choice(portolan::Events& out)
    {
        if (++choice_ < choices_) {
            speech_.rewind(words_);
            return wait(out);
        }
        auto usage = portolan::usage(heard_, said_);
        usage.flags = PORTOLAN_USAGE_ESTIMATED;
        out.usage(usage);
        return false;
    }

    bool wait(portolan::Events& out)
    {
        if (s_.delay_us > 0) out.later_us(s_.delay_us);
        return true;
    }

    static std::uint64_t mixed(std::uint64_t x) // splitmix64
    {
        x += 0x9e3779b97f4a7c15u;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return x ^ (x >> 31);
    }
    static std::string hex(std::uint64_t seed)
    {
        std::string out(16, '0');
        for (std::size_t i = 0; i < 16; ++i) out[i] = "0123456789abcdef"[seed >> (60 - 4 * i) & 15];
        return out;
    }

    const Settings& s_; // of the component, which outlives its runs
    std::string model_, id_, arguments_;
    std::uint32_t choices_, choice_ = 0;
    Speech speech_;
    std::optional<std::string> tool_;
    std::int64_t words_, heard_ = 0, said_ = 0;
    bool fails_ = false, waited_ = false, started_ = false;
};

class Echo : public portolan::Generator {
public:
    explicit Echo(const portolan::Config& c) : settings_(c.json) {}

    std::unique_ptr<portolan::Run> open(const portolan::Call& call, const portolan::Request& rq) override
    {
        return std::make_unique<EchoRun>(settings_, call, rq);
    }

private:
    Settings settings_;
};

} // namespace

PORTOLAN_PLUGIN(R"({"id":"portolan.echo","version":"0.1.0","license":"Apache-2.0","components":{"echo":{
  "kind":"portolan.generator/1","title":"Echo","ops":{"chat":{"translates":["openai"]}},
  "streams":true,"blocking":false,
  "config":{"type":"object","properties":{
    "delay_ms":{"type":"integer","minimum":0,"maximum":600000,"default":0,"title":"Delay per word",
      "description":"milliseconds between two words"},
    "first_delay_ms":{"type":"integer","minimum":0,"maximum":600000,"default":0,"title":"Delay before the first word"},
    "tokens":{"type":"integer","minimum":0,"maximum":10000000,"default":0,"title":"Number of words",
      "description":"say so many words, over and over the user's; 0: say the user's text once"},
    "failure_rate":{"type":"number","minimum":0,"maximum":1,"default":0,"title":"Failure rate",
      "description":"share of requests that fail as overloaded before any text"},
    "fail_after":{"type":"integer","minimum":0,"default":0,"title":"Break off after",
      "description":"fail after so many words; 0: never"},
    "prefix":{"type":"string","default":"","title":"Prefix","description":"put [prefix] before the text"},
    "tool_call":{"type":"string","default":"","title":"Tool call",
      "description":"if tools are offered, call this one; auto: the first one; empty: none"},
    "finish":{"type":"string","enum":["stop","length","content_filter"],"default":"stop","title":"Finish reason"}}}}}})",
                portolan::component<Echo>("echo"))
