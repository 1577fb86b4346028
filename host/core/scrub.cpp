#include "core/scrub.h"

#include "core/text.h"

#include <array>

namespace core {

namespace {

constexpr bool alnum(char c) noexcept
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
constexpr bool token(char c) noexcept
{
    return alnum(c) || c == '-' || c == '_' || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
}
constexpr bool key(char c) noexcept { return alnum(c) || c == '-' || c == '_'; }

struct Prefix {
    std::string_view text;
    std::size_t at_least; ///< characters that must follow
};
constexpr std::array prefixes{Prefix{"sk-", 8}, Prefix{"gsk_", 16}, Prefix{"xai-", 16}, Prefix{"ptl_", 16},
                              Prefix{"AIza", 30}, Prefix{"AKIA", 16}, Prefix{"ASIA", 16}};

template <class Is>
std::size_t run(std::string_view text, std::size_t from, Is is) noexcept
{
    std::size_t at = from;
    while (at < text.size() && is(text[at])) ++at;
    return at - from;
}

/// header.payload.signature, the header being base64url of '{"'.
std::size_t json_web_token(std::string_view text) noexcept
{
    std::size_t at = 0;
    for (int part = 0; part < 3; ++part) {
        if (part > 0 && (at >= text.size() || text[at++] != '.')) return 0;
        const std::size_t n = run(text, at, key);
        if (n < 8) return 0;
        at += n;
    }
    return at;
}

/// Up to the end of the END line, or of the string literal that it stands in.
std::size_t pem(std::string_view text) noexcept
{
    const std::size_t quote = text.find('"');
    const std::size_t end = text.find("-----END ");
    if (end == text.npos || quote < end) return quote < text.size() ? quote : text.size();
    const std::size_t dashes = text.find("-----", end + 9);
    return dashes == text.npos || quote < dashes ? (quote < text.size() ? quote : text.size()) : dashes + 5;
}

struct Found {
    std::size_t kept = 0, length = 0; ///< how much of the start is shown; length 0: no secret
};

/// The secret that `text` starts with.
Found secret(std::string_view text) noexcept
{
    switch (text[0]) {
    case 'B':
    case 'b': {
        if (text.size() < 7 || !equal_nocase(text.substr(0, 6), "bearer")) return {};
        const std::size_t space = run(text, 6, [](char c) { return c == ' '; });
        const std::size_t n = run(text, 6 + space, token);
        return space == 0 || n < 8 ? Found{} : Found{7, 6 + space + n};
    }
    case 'e':
        if (text.starts_with("eyJ")) return {3, json_web_token(text)};
        return {};
    case '-':
        if (text.starts_with("-----BEGIN ")) return {11, pem(text)};
        return {};
    default: break;
    }
    for (const auto& prefix : prefixes)
        if (text.starts_with(prefix.text))
            if (const auto n = run(text, prefix.text.size(), key); n >= prefix.at_least)
                return {prefix.text.size(), prefix.text.size() + n};
    return {};
}

/// The next place from `at` on where a secret starts; npos if there is none.
std::size_t next(std::string_view text, std::size_t at, Found& found) noexcept
{
    static constexpr std::string_view starts = "sgxpABbe-";
    for (at = text.find_first_of(starts, at); at != text.npos; at = text.find_first_of(starts, at + 1)) {
        // "risk-management" is no key. A '\' escape's letter ("\n") in front of one does not hide it.
        const bool inside = at > 0 && (alnum(text[at - 1]) || text[at - 1] == '_') && !(at > 1 && text[at - 2] == '\\');
        if (inside && text[at] != '-') continue;
        found = secret(text.substr(at));
        if (found.length > 0) return at;
    }
    return text.npos;
}

} // namespace

bool has_secret(std::string_view text) noexcept
{
    Found found;
    return next(text, 0, found) != text.npos;
}

std::string scrub(std::string_view text)
{
    std::string out;
    std::size_t done = 0;
    Found found;
    for (auto at = next(text, 0, found); at != text.npos; at = next(text, done, found)) {
        out += text.substr(done, at + found.kept - done);
        out += "***";
        done = at + found.length;
    }
    return out += text.substr(done);
}

} // namespace core
