// Thirteen envelopes and then some: a walk that takes the first message, type, code and param it meets.
#include "dialect/error_body.h"

#include "core/json_scan.h"
#include "core/text.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>

namespace dialect {

namespace {

using core::JsonScanner;
using core::JsonString;

constexpr std::size_t most_read = 64 * 1024, most_depth = 32;
constexpr std::int64_t most_wait_us = 300'000'000; // five minutes: what is longer is a guess

/// "20s", "1m30s", "450 ms", "7.66 seconds" at the start of the text; -1 if there is none.
std::int64_t duration_us(std::string_view text)
{
    double total = 0;
    bool any = false;
    while (true) {
        while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
        double value = 0;
        if (text.empty() || text[0] < '0' || text[0] > '9') break;
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
        if (error != std::errc{}) break;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
        std::size_t letters = 0;
        while (letters < text.size() && ((text[letters] | 0x20) >= 'a' && (text[letters] | 0x20) <= 'z')) ++letters;
        const auto unit = core::lower(text.substr(0, letters));
        const double factor = unit == "ms" || unit.starts_with("milli")                 ? 1e3
                              : unit == "s" || unit.starts_with("sec")                  ? 1e6
                              : unit == "m" || unit.starts_with("min")                  ? 60e6
                              : unit == "h" || unit == "hr" || unit.starts_with("hour") ? 3600e6
                                                                                        : 0;
        if (factor == 0) break;
        total += value * factor;
        any = true;
        text.remove_prefix(letters);
    }
    return any ? static_cast<std::int64_t>(std::min(total, static_cast<double>(most_wait_us))) : -1;
}

std::int64_t wait_in(std::string_view message)
{
    const auto text = core::lower(message);
    for (const std::string_view lead :
         {"try again in ", "retry in ", "retry after ", "retry-after: ", "please wait ", "available in "})
        if (const auto at = text.find(lead); at != text.npos)
            if (const auto us = duration_us(std::string_view(text).substr(at + lead.size())); us >= 0) return us;
    return -1;
}

class Walk {
public:
    explicit Walk(std::string_view body) : scan_(body, most_depth, false) {}

    bool run()
    {
        if (scan_.peek() != '{' && scan_.peek() != '[') return false;
        return value(true) && scan_.end();
    }
    ErrorSeen seen;

private:
    static void first(std::string& to, const JsonString& text)
    {
        if (to.empty()) to = text.text();
    }

    /// `main`: what is said here is the error; else it only helps to recognise it.
    bool value(bool main)
    {
        switch (scan_.peek()) {
        case '{':
            return scan_.object([&](const JsonString& key) { return member(key, main); });
        case '[': {
            bool lead = true; // of several errors the first is told
            return scan_.array([&] {
                const bool mine = main && lead;
                lead = false;
                if (scan_.peek() == '"') return string(mine ? &seen.message : nullptr);
                return value(mine);
            });
        }
        case '"':
            return string(nullptr);
        default:
            return scan_.skip();
        }
    }

    bool string(std::string* to)
    {
        JsonString text;
        if (!scan_.string(text)) return false;
        if (to && to->empty()) {
            *to = text.text();
        } else if (seen.more.size() < 4096)
            (seen.more += ' ') += text.text();
        return true;
    }

    bool number(bool main)
    {
        std::string_view digits;
        std::int64_t value = 0;
        if (!scan_.number(digits)) return false;
        if (main && core::json_integer(digits, value) && value >= 400 && value < 600 && seen.status == 0)
            seen.status = static_cast<int>(value);
        return true;
    }

    bool member(const JsonString& key, bool main)
    {
        const char next = scan_.peek();
        const bool words = next == '"';
        if (key.raw == "message" || key.raw == "msg")
            return words ? string(main ? &seen.message : nullptr) : value(main);
        if (key.raw == "error" || key.raw == "detail" || key.raw == "errors")
            return words ? string(main ? &seen.message : nullptr) : value(main);
        if (key.raw == "choices" || key.raw == "usage" || key.raw == "failed_generation")
            return scan_.skip(); // a model wrote in there
        if (key.raw == "retryDelay" || key.raw == "retry_after" || key.raw == "retry_after_seconds") return delay();
        if (!main) return words ? string(nullptr) : value(false);
        if (key.raw == "type") return words ? type() : scan_.skip();
        if (key.raw == "param") return words ? string(&seen.param) : scan_.skip();
        if (key.raw == "code" || key.raw == "status") {
            if (words) return key.raw == "code" ? code() : string(&seen.state);
            return next == '-' || (next >= '0' && next <= '9') ? number(true) : value(false);
        }
        return words ? string(nullptr) : value(false);
    }

    bool type()
    {
        JsonString text;
        if (!scan_.string(text)) return false;
        if (text.raw != "error" && text.raw != "response.failed") first(seen.type, text); // the envelope's own
        return true;
    }

    bool code() ///< Azure sends a status as a string
    {
        JsonString text;
        if (!scan_.string(text)) return false;
        std::int64_t value = 0;
        if (!core::json_integer(text.raw, value))
            first(seen.code, text);
        else if (value >= 400 && value < 600 && seen.status == 0)
            seen.status = static_cast<int>(value);
        return true;
    }

    bool delay() ///< "34.4s", or seconds as a number
    {
        std::string_view digits;
        JsonString text;
        std::int64_t us = -1;
        if (scan_.peek() == '"') {
            if (!scan_.string(text)) return false;
            us = duration_us(text.raw);
            if (us < 0) us = duration_us(std::string(text.raw) + "s");
        } else if (scan_.is_number()) {
            if (!scan_.number(digits)) return false;
            us = duration_us(std::string(digits) + "s");
        } else
            return scan_.skip();
        if (us >= 0) seen.retry_after_us = us;
        return true;
    }

    JsonScanner scan_;
};

/// An HTML page says most with its title.
std::string title_of(std::string_view page)
{
    const auto text = core::lower(page.substr(0, 8192));
    for (const std::string_view tag : {"title", "h1"}) {
        auto from = text.find('<' + std::string(tag));
        if (from == text.npos || (from = text.find('>', from)) == text.npos) continue;
        const auto end = text.find('<', ++from);
        if (end != text.npos) return std::string(core::trim(page.substr(from, end - from)));
    }
    return {};
}

bool is_page(std::string_view body)
{
    const auto start = core::lower(core::trim(body).substr(0, 256));
    return start.starts_with('<') &&
           (start.find("<html") != start.npos || start.find("<!doctype") != start.npos ||
            start.find("<head") != start.npos || start.starts_with("<?xml") || start.find("<h1") != start.npos);
}

} // namespace

ErrorSeen read_error(std::string_view body)
{
    body = body.substr(0, most_read);
    if (simdjson::validate_utf8(body.data(), body.size())) {
        Walk walk(body);
        if (walk.run()) {
            auto& seen = walk.seen;
            seen.envelope = !seen.message.empty() || !seen.code.empty() || !seen.type.empty();
            if (seen.retry_after_us < 0) seen.retry_after_us = wait_in(seen.message);
            if (seen.retry_after_us < 0) seen.retry_after_us = wait_in(seen.more);
            return std::move(seen);
        }
    }
    ErrorSeen seen;
    if (is_page(body)) {
        seen.message = title_of(body);
    } else if (const auto text = core::trim(body); !text.starts_with('{') && !text.starts_with('[')) {
        seen.message = std::string(text);
        seen.retry_after_us = wait_in(seen.message);
    }
    return seen;
}

} // namespace dialect
