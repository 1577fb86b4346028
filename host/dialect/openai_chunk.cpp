// Facts of a chunk: one pass over a few hundred bytes, no allocation for a usual one.
#include "dialect/openai_chunk.h"

#include "core/json_scan.h"
#include "dialect/error_body.h"

#include <simdjson.h>

namespace dialect {

namespace {

using core::JsonScanner;
using core::JsonString;

constexpr std::size_t most_depth = 256;

/// A count of tokens; fractions are cut off, what is no number or negative was not said.
bool count(JsonScanner& scan, std::int64_t& out)
{
    std::string_view digits;
    if (!scan.is_number()) return scan.skip();
    if (!scan.number(digits)) return false;
    std::int64_t value = -1;
    if (core::json_integer(digits.substr(0, digits.find('.')), value) && value >= 0 &&
        digits.find_first_of("eE") == digits.npos)
        out = value;
    return true;
}

/// A string; true in `some` if it is not empty.
bool text(JsonScanner& scan, bool& some, std::string_view* out = nullptr)
{
    JsonString value;
    if (scan.peek() != '"') return scan.skip();
    if (!scan.string(value)) return false;
    if (value.raw.empty()) return true;
    some = true;
    if (out) *out = value.raw;
    return true;
}

/// Any value; true in `some` if it is a string, array or object with something in it.
bool substance(JsonScanner& scan, bool& some)
{
    const char next = scan.peek();
    if (next == '"') return text(scan, some);
    std::string_view value;
    if (!scan.skip(value)) return false;
    if ((next == '[' || next == '{') && value.size() > 2 && value.find_first_not_of(" \t\r\n", 1) != value.size() - 1)
        some = true;
    return true;
}

class ChunkReader {
public:
    ChunkReader(std::string_view json, bool whole, ChunkFacts& out)
        : scan_(json, most_depth, false), whole_(whole), out_(out)
    {
    }

    bool run()
    {
        if (scan_.peek() != '{') return false;
        return scan_.object([this](const JsonString& key) { return member(key.raw); }) && scan_.end();
    }
    [[nodiscard]] bool says_error() const noexcept { return error_ || error_object_; }

private:
    // Keys with escapes are not looked at: no provider writes them.
    bool member(std::string_view key)
    {
        bool some = false;
        if (key == "id") return text(scan_, some, &out_.id);
        if (key == "model") return text(scan_, some, &out_.model);
        if (key == "choices") return choices();
        if (key == "usage") return usage();
        if (key == "error") return error();
        if (key == "x_groq") return inner_usage();
        if (key == "object" || key == "type") {
            std::string_view name;
            if (!text(scan_, some, &name)) return false;
            error_object_ = error_object_ || name == "error";
            return true;
        }
        return scan_.skip();
    }

    bool error()
    {
        if (scan_.peek() == '"' || scan_.peek() == '{' || scan_.peek() == '[') return substance(scan_, error_);
        std::string_view value;
        if (!scan_.skip(value)) return false;
        error_ = error_ || (value != "null" && value != "false");
        return true;
    }

    bool choices()
    {
        if (scan_.peek() != '[') return scan_.skip();
        out_.choices_empty = true;
        std::int64_t place = 0;
        return scan_.array([&] {
            out_.choices_empty = false;
            if (scan_.peek() != '{') return scan_.skip();
            index_ = place++, ended_ = false;
            if (!scan_.object([this](const JsonString& key) { return choice(key.raw); })) return false;
            const auto bit = std::uint64_t{1} << (index_ < 63 ? index_ : 63);
            out_.choices |= bit;
            if (ended_) out_.ended |= bit;
            return true;
        });
    }

    bool choice(std::string_view key)
    {
        if (key == "delta" || key == "message") {
            if ((key == "message") != whole_ || scan_.peek() != '{')
                return scan_.skip(); // Perplexity sends both in a chunk
            return scan_.object([this](const JsonString& name) { return delta(name.raw); });
        }
        if (key == "finish_reason") return finish();
        if (key == "index") return count(scan_, index_);
        if (key == "text") return text(scan_, out_.content);
        if (key == "usage") return usage(); // Moonshot
        if (key == "error") return error();
        return scan_.skip();
    }

    bool delta(std::string_view key)
    {
        if (key == "content" || key == "tool_calls" || key == "reasoning_content" || key == "reasoning" ||
            key == "reasoning_details" || key == "refusal" || key == "function_call" || key == "audio" ||
            key == "images")
            return substance(scan_, out_.content);
        return scan_.skip();
    }

    bool finish()
    {
        std::string_view reason;
        bool some = false;
        if (scan_.peek() == '"') {
            if (!text(scan_, some, &reason)) return false;
        } else {
            if (!scan_.skip(reason)) return false;
            some = reason != "null";
        }
        if (!some) return true;
        out_.finish = reason;
        out_.finished = out_.content = ended_ = true;
        error_ = error_ || reason == "error"; // OpenRouter's and Vercel's way to end a broken stream
        return true;
    }

    bool inner_usage()
    {
        if (scan_.peek() != '{') return scan_.skip();
        return scan_.object([this](const JsonString& key) {
            return key.raw == "usage" ? usage() : key.raw == "error" ? error() : scan_.skip();
        });
    }

    bool usage()
    {
        if (scan_.peek() != '{') return scan_.skip();
        auto& usage = out_.usage;
        std::int64_t total = -1;
        const bool good = scan_.object([&](const JsonString& name) {
            const auto key = name.raw;
            if (key == "prompt_tokens" || key == "input_tokens") return count(scan_, usage.input);
            if (key == "completion_tokens" || key == "output_tokens") return count(scan_, usage.output);
            if (key == "prompt_tokens_details" || key == "input_tokens_details")
                return details(usage.cache_read, usage.audio_input);
            if (key == "completion_tokens_details" || key == "output_tokens_details")
                return details(usage.reasoning, usage.audio_output);
            if (key == "prompt_cache_hit_tokens" || key == "cached_tokens")
                return usage.cache_read < 0 ? count(scan_, usage.cache_read) : scan_.skip();
            if (key == "reasoning_tokens") return usage.reasoning < 0 ? count(scan_, usage.reasoning) : scan_.skip();
            if (key == "total_tokens") return count(scan_, total);
            if (key == "estimated") return usage.estimated = scan_.peek() == 't', scan_.skip();
            return scan_.skip();
        });
        if (!usage.said()) usage.input = total; // Voyage and Jina say no more of what they embed and rank
        return good;
    }

    bool details(std::int64_t& part, std::int64_t& audio)
    {
        if (scan_.peek() != '{') return scan_.skip();
        return scan_.object([&](const JsonString& name) {
            if (name.raw == "cached_tokens" || name.raw == "reasoning_tokens") return count(scan_, part);
            if (name.raw == "audio_tokens") return count(scan_, audio);
            return scan_.skip();
        });
    }

    JsonScanner scan_;
    bool whole_, error_ = false, error_object_ = false, ended_ = false; ///< ended_: the choice at hand
    std::int64_t index_ = 0;
    ChunkFacts& out_;
};

} // namespace

void read_openai(std::string_view json, bool whole, ChunkFacts& out)
{
    out = {};
    ChunkReader reader(json, whole, out);
    out.valid = reader.run() && simdjson::validate_utf8(json.data(), json.size());
    if (!out.valid) {
        out = {};
        return;
    }
    if (!reader.says_error()) return;
    out.error = true;
    out.fault = fault_of_stream_error(json);
}

} // namespace dialect
