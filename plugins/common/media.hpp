// Pictures, documents and sound in a request: where their bytes are and what they are.
#pragma once

#include <portolan/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>

namespace hub {

using portolan::json;

inline std::string lower(std::string_view s)
{
    std::string out(s);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    return out;
}

/// Bytes of standard base64 (padding optional, line breaks skipped); what is no base64 ends it.
inline std::string base64_decoded(std::string_view text)
{
    std::string out;
    unsigned bits = 0, held = 0;
    for (const char c : text) {
        const int v = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52
                    : c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
        if (c == '\n' || c == '\r') continue;
        if (v < 0) break;
        bits = bits << 6 | unsigned(v), held += 6;
        if (held >= 8) out += char(bits >> (held -= 8) & 0xff);
    }
    return out;
}

inline std::string base64_encoded(std::string_view bytes)
{
    static constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        unsigned v = 0;
        const auto n = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k) v = v << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k) out += k <= n ? letters[v >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

inline std::string percent_decoded(std::string_view s)
{
    std::string out;
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; };
    for (std::size_t i = 0; i < s.size(); ++i)
        if (s[i] == '%' && i + 2 < s.size() && digit(s[i + 1]) >= 0 && digit(s[i + 2]) >= 0)
            out += char(digit(s[i + 1]) * 16 + digit(s[i + 2])), i += 2;
        else
            out += s[i];
    return out;
}

/// One path segment or query value: everything but RFC 3986's unreserved characters is escaped.
inline std::string percent_encoded(std::string_view s)
{
    static constexpr char hex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : s)
        if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '~')
            out += c;
        else
            ((out += '%') += hex[static_cast<unsigned char>(c) >> 4]) += hex[c & 15];
    return out;
}

struct Media {
    std::string type;      ///< "image/png"; empty: nobody said
    std::string data, url; ///< base64, or where it is
    std::string name;      ///< of a file
    std::string id;        ///< of a file that some provider keeps
    [[nodiscard]] bool here() const noexcept { return !data.empty(); }
};

/// What the first bytes say, which is worth more than what clients say; empty: nothing that is known.
inline std::string sniffed(std::string_view base64)
{
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> starts{
        {{"iVBORw0KGgo", "image/png"}, {"/9j/", "image/jpeg"}, {"R0lGOD", "image/gif"}, {"JVBERi", "application/pdf"}, {"SUQz", "audio/mpeg"}, {"T2dnUw", "audio/ogg"}}};
    for (const auto& [start, type] : starts)
        if (base64.starts_with(start)) return std::string(type);
    if (base64.starts_with("UklGR")) { // RIFF: the kind stands at byte 8
        const auto head = base64_decoded(base64.substr(0, 16));
        if (head.size() >= 12 && head.compare(8, 4, "WEBP") == 0) return "image/webp";
        if (head.size() >= 12 && head.compare(8, 4, "WAVE") == 0) return "audio/wav";
    }
    return {};
}

inline std::string type_of_name(std::string_view name)
{
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 30> known{{
        {"png", "image/png"}, {"jpg", "image/jpeg"}, {"jpeg", "image/jpeg"}, {"gif", "image/gif"}, {"webp", "image/webp"}, {"heic", "image/heic"},
        {"pdf", "application/pdf"}, {"txt", "text/plain"}, {"md", "text/markdown"}, {"csv", "text/csv"}, {"html", "text/html"}, {"htm", "text/html"},
        {"json", "application/json"}, {"xml", "text/xml"}, {"doc", "application/msword"},
        {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"}, {"xls", "application/vnd.ms-excel"},
        {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}, {"mp3", "audio/mpeg"}, {"wav", "audio/wav"}, {"flac", "audio/flac"},
        {"ogg", "audio/ogg"}, {"m4a", "audio/mp4"}, {"aac", "audio/aac"}, {"mp4", "video/mp4"}, {"mov", "video/quicktime"}, {"webm", "video/webm"},
        {"mkv", "video/x-matroska"}, {"mpeg", "video/mpeg"}, {"avi", "video/x-msvideo"}}};
    name = name.substr(0, name.find_first_of("?#"));
    const auto dot = name.rfind('.');
    if (dot == name.npos) return {};
    const auto ending = lower(name.substr(dot + 1));
    for (const auto& [end, type] : known)
        if (end == ending) return std::string(type);
    return {};
}

/// A data URL (RFC 2397) becomes its type and base64, anything else stays an address.
inline Media media_at(std::string_view url)
{
    Media m;
    if (lower(url.substr(0, 5)) != "data:") {
        m.url = url, m.type = type_of_name(url);
        return m;
    }
    const auto comma = url.find(',');
    const auto head = url.substr(5, comma == url.npos ? url.npos : comma - 5);
    const auto body = comma == url.npos ? std::string_view() : url.substr(comma + 1);
    m.type = lower(head.substr(0, head.find(';')));
    m.data = lower(head).ends_with(";base64") ? std::string(body) : base64_encoded(percent_decoded(body));
    if (const auto seen = sniffed(m.data); !seen.empty()) m.type = seen;
    if (m.type == "image/jpg") m.type = "image/jpeg";
    return m;
}

} // namespace hub
