// portolan/json_text.hpp - JSON as text: for plugins that want no JSON library, and where a tree would cost too much. Part of plugin.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace portolan {

/// JSON string literal for s, for plugins that want no JSON library.
inline std::string quoted(std::string_view s)
{
    static constexpr char hex[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : s)
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20)
            ((out += "\\u00") += hex[c >> 4]) += hex[c & 15];
        else
            out += c;
    return out += '"';
}

/// Index behind the closing quote of the JSON string that begins at `quote`; npos: it does not end.
inline std::size_t string_end(std::string_view json, std::size_t quote)
{
    for (std::size_t at = quote + 1; at < json.size() && at < quote + 24; ++at) { // most are a word long
        if (json[at] == '"') return at + 1;
        if (json[at] == '\\') break;
    }
    for (std::size_t at = quote + 1; (at = json.find('"', at)) != json.npos; ++at) {
        auto slashes = at;
        while (json[slashes - 1] == '\\') --slashes;
        if ((at - slashes) % 2 == 0) return at + 1;
    }
    return json.npos;
}

/// Index of the comma, brace or bracket that ends the JSON value at `at`; npos: there is none.
inline std::size_t value_end(std::string_view json, std::size_t at)
{
    for (int depth = 0; at < json.size();) {
        switch (json[at]) {
        case '"':
            at = string_end(json, at);
            continue;
        case '{':
        case '[':
            ++depth;
            break;
        case '}':
        case ']':
            if (depth-- == 0) return at;
            break;
        case ',':
            if (depth == 0) return at;
            break;
        default:
            break;
        }
        ++at;
    }
    return json.npos;
}

/// Calls f(key, value) for each member of a JSON object, both as they stand in the text: the key without its quotes,
/// the value with them, escapes untouched. No tree, no copy. For valid JSON, as Request::json() is; damage ends it.
template <class F>
void members(std::string_view object, F&& f)
{
    const std::size_t size = object.size();
    const auto blank = [&](std::size_t at) { return object[at] == ' ' || object[at] == '\n' || object[at] == '\r' || object[at] == '\t'; };
    const auto skip_blank = [&](std::size_t at) {
        while (at < size && blank(at)) ++at;
        return at;
    };
    auto at = skip_blank(0);
    if (at >= size || object[at] != '{') return;
    do {
        const auto key = skip_blank(at + 1);
        if (key >= size || object[key] != '"') return;
        const auto key_end = string_end(object, key);
        const auto colon = skip_blank(key_end);
        if (colon >= size || object[colon] != ':') return;
        const auto value = skip_blank(colon + 1);
        at = value_end(object, value);
        if (at >= size || at == value) return;
        auto end = at;
        while (blank(end - 1)) --end;
        f(object.substr(key + 1, key_end - key - 2), object.substr(value, end - value));
    } while (object[at] == ',');
}

} // namespace portolan
