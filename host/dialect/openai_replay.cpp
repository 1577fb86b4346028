// Reads a provider's own chunk or completion as if it were events.
#include "dialect/openai_parts.h"

#include "core/json_scan.h"
#include "core/json_tree.h"
#include "dialect/openai_chunk.h"

namespace dialect {

namespace {

using core::JsonScanner;
using core::JsonString;

class Replay {
public:
    Replay(std::string_view json, bool whole, OpenAiSink& sink, std::string& out)
        : scan_(json, 256, false), whole_(whole), sink_(sink), out_(out)
    {
    }

    void run()
    {
        scan_.object([this](const JsonString& key) {
            std::uint32_t place = 0;
            if (key.raw == "choices" && scan_.peek() == '[') return scan_.array([&] { return choice(place++); });
            std::string_view value;
            if (!scan_.skip(value)) return false;
            if (!is_own_member(key.raw) && value != "null") sink_.member(key.raw, value);
            return true;
        });
    }

private:
    bool choice(std::uint32_t place)
    {
        if (scan_.peek() != '{') return scan_.skip();
        choice_ = place;
        std::string_view body, reason; // told in this order whatever the order in the text
        std::vector<std::pair<std::string_view, std::string_view>> others;
        const bool good = scan_.object([&](const JsonString& key) {
            std::string_view value;
            if (!scan_.skip(value)) return false;
            std::int64_t number = 0;
            if (key.raw == "index" && core::json_integer(value, number) && number >= 0 && number < 1024)
                choice_ = static_cast<std::uint32_t>(number);
            else if (key.raw == (whole_ ? "message" : "delta"))
                body = value;
            else if (key.raw == "finish_reason")
                reason = value;
            else if (value != "null" && key.raw != "index" && key.raw != "delta" && key.raw != "message")
                others.emplace_back(key.raw, value);
            return true;
        });
        if (!good) return false;
        if (body.starts_with('{')) {
            const bool apart = whole_ || body.find("\"reasoning_details\"") != body.npos;
            if (apart) delta(body, Part::Thoughts); // first, wherever they stand: they came before the answer
            delta(body, apart ? Part::Others : Part::All);
        }
        for (const auto& [name, value] : others) sink_.other(choice_, false, name, value, out_);
        if (reason.size() > 2 && reason[0] == '"')
            sink_.finish(choice_, reason.substr(1, reason.size() - 2), out_);
        else if (!reason.empty() && reason[0] != '"' && reason != "null")
            sink_.finish(choice_, reason, out_); // a number: somebody's enumeration
        return true;
    }

    enum class Part { All, Thoughts, Others };
    static bool is_thought(std::string_view raw_key)
    {
        return raw_key == "reasoning_content" || raw_key == "reasoning" || raw_key == "reasoning_details";
    }

    void delta(std::string_view json, Part part)
    {
        JsonScanner scan(json, 256, false);
        bool reasoned = false; // some send the same under two names
        std::string_view details;
        scan.object([&](const JsonString& key) {
            const char next = scan.peek();
            const auto words = [&](auto&& tell) {
                JsonString text;
                if (!scan.string(text)) return false;
                if (!text.raw.empty()) tell(text.text());
                return true;
            };
            if (key.raw == "role" || next == 'n') return scan.skip();
            if (part != Part::All && is_thought(key.raw) != (part == Part::Thoughts)) return scan.skip();
            if (key.raw == "content")
                return next == '"' ? words([&](const std::string& s) { sink_.text(choice_, s, out_); })
                                   : parts(scan, false);
            if ((key.raw == "reasoning_content" || key.raw == "reasoning") && next == '"')
                return words([&](const std::string& s) {
                    if (!std::exchange(reasoned, true)) sink_.reasoning(choice_, s, out_);
                });
            if (key.raw == "refusal" && next == '"')
                return words([&](const std::string& s) { sink_.refusal(choice_, s, out_); });
            if (key.raw == "reasoning_details") return scan.skip(details);
            std::uint32_t place = 0;
            if (key.raw == "tool_calls" && next == '[') return scan.array([&] { return call(scan, place++); });
            if (key.raw == "function_call" && next == '{')
                return function(scan, [&](const std::string& name, const std::string& arguments) {
                    if (!name.empty() || !arguments.empty()) sink_.function_call(choice_, name, arguments, out_);
                });
            std::string_view value;
            if (!scan.skip(value)) return false;
            sink_.other(choice_, true, key.raw, value, out_);
            return true;
        });
        if (!details.empty()) this->details(details, reasoned);
    }

    /// `told`: their texts stand in the message as plain reasoning, too.
    void details(std::string_view list, bool told)
    {
        const core::JsonTree tree(list);
        if (told || !tree.root().array()) return sink_.other(choice_, true, "reasoning_details", list, out_);
        for (const auto entry : tree.root()) {
            const auto text = entry[entry["type"].is("reasoning.summary") ? "summary" : "text"].text();
            if (!text.empty()) sink_.reasoning(choice_, text, out_);
            sink_.other(choice_, true, "reasoning_details", '[' + std::string(entry.raw()) + ']', out_);
        }
    }

    /// Content as an array, as Mistral's thinking models send it.
    bool parts(JsonScanner& scan, bool thinking)
    {
        if (scan.peek() == '"') {
            JsonString text;
            if (!scan.string(text)) return false;
            thinking ? sink_.reasoning(choice_, text.text(), out_) : sink_.text(choice_, text.text(), out_);
            return true;
        }
        if (scan.peek() == '[') return scan.array([&] { return parts(scan, thinking); });
        if (scan.peek() != '{') return scan.skip();
        return scan.object([&](const JsonString& key) {
            if (key.raw == "thinking") return parts(scan, true);
            return key.raw == "text" ? parts(scan, thinking) : scan.skip();
        });
    }

    template <class Tell>
    bool function(JsonScanner& scan, Tell&& tell)
    {
        std::string name, arguments;
        const bool good = scan.object([&](const JsonString& key) {
            JsonString text;
            std::string_view value;
            if (key.raw != "name" && key.raw != "arguments") return scan.skip();
            auto& to = key.raw == "name" ? name : arguments;
            if (scan.peek() == '"') {
                if (!scan.string(text)) return false;
                to = text.text();
            } else if (!scan.skip(value))
                return false;
            else if (value.starts_with('{')) // arguments that are an object already
                to = value;
            return true;
        });
        if (good) tell(name, arguments);
        return good;
    }

    bool call(JsonScanner& scan, std::uint32_t place)
    {
        if (scan.peek() != '{') return scan.skip();
        std::string id, name, arguments;
        const bool good = scan.object([&](const JsonString& key) {
            JsonString text;
            std::string_view value;
            if (key.raw == "id" && scan.peek() == '"') {
                if (!scan.string(text)) return false;
                id = text.text();
                return true;
            }
            if (key.raw == "function" && scan.peek() == '{')
                return function(scan,
                                [&](std::string& n, std::string& a) { name = std::move(n), arguments = std::move(a); });
            if (!scan.skip(value)) return false;
            std::int64_t number = 0;
            if (key.raw == "index" && core::json_integer(value, number) && number >= 0 && number < 1024)
                place = static_cast<std::uint32_t>(number);
            return true;
        });
        if (!good) return false;
        if (!id.empty() || !name.empty()) sink_.tool_begin(choice_, place, id, name, out_);
        if (!arguments.empty()) sink_.tool_args(choice_, place, arguments, out_);
        return true;
    }

    JsonScanner scan_;
    bool whole_;
    OpenAiSink& sink_;
    std::string& out_;
    std::uint32_t choice_ = 0;
};

} // namespace

void OpenAiSink::message(std::uint32_t choice, std::string_view json_object, std::string& out)
{
    JsonScanner check(json_object, 256, true);
    if (check.peek() != '{' || !check.skip() || !check.end()) return;
    JsonScanner scan(json_object, 256, false);
    scan.object([&](const JsonString& key) {
        JsonString text;
        if (key.raw == "refusal" && scan.peek() == '"') {
            if (!scan.string(text)) return false;
            refusal(choice, text.text(), out);
            return true;
        }
        std::string_view value;
        if (!scan.skip(value)) return false;
        if (value != "null") other(choice, key.raw != "logprobs", key.raw, value, out); // they stand beside the message
        return true;
    });
}

void replay(std::string_view json, bool whole, OpenAiSink& sink, std::string& out)
{
    ChunkFacts facts;
    read_openai(json, whole, facts);
    if (!facts.valid) return;
    Replay(json, whole, sink, out).run();
    if (facts.usage.said()) sink.usage(facts.usage);
}

} // namespace dialect
