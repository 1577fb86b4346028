#include "core/text.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace core {

namespace {
constexpr char low(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// Length of the well-formed UTF-8 sequence at `at`, 0 if there is none.
std::size_t sequence(std::string_view s, std::size_t at) noexcept
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned char first = byte(at);
    if (first < 0x80) return 1;
    const std::size_t n = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
    if (n == 0 || s.size() - at < n) return 0;
    for (std::size_t i = 1; i < n; ++i)
        if ((byte(at + i) & 0xc0) != 0x80) return 0;
    const unsigned char second = byte(at + 1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f))
        return 0;
    return n;
}
} // namespace

std::string lower(std::string_view s)
{
    std::string out(s);
    std::transform(out.begin(), out.end(), out.begin(), low);
    return out;
}

bool same_letters(std::string_view a, std::string_view b) noexcept
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return low(x) == low(y); });
}

std::string_view trim(std::string_view s) noexcept
{
    const auto from = s.find_first_not_of(" \t\r\n");
    if (from == s.npos) return {};
    return s.substr(from, s.find_last_not_of(" \t\r\n") - from + 1);
}

std::vector<std::string> split(std::string_view s, char separator)
{
    std::vector<std::string> out;
    while (true) {
        const auto end = s.find(separator);
        if (const auto piece = trim(s.substr(0, end)); !piece.empty()) out.emplace_back(piece);
        if (end == s.npos) return out;
        s.remove_prefix(end + 1);
    }
}

std::optional<std::int64_t> to_int(std::string_view s) noexcept
{
    std::int64_t value = 0;
    if (s.empty() || s[0] == '-') return std::nullopt;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
    if (error != std::errc{} || end != s.data() + s.size()) return std::nullopt;
    return value;
}

namespace {
constexpr char hex_digits[] = "0123456789abcdef";
}

std::string hex(std::string_view bytes)
{
    std::string out;
    out.reserve(2 * bytes.size());
    for (const char c : bytes) (out += hex_digits[static_cast<unsigned char>(c) >> 4]) += hex_digits[c & 15];
    return out;
}

std::string quoted(std::string_view s)
{
    std::string out;
    out.reserve(s.size() + 2);
    out += '"';
    for (std::size_t at = 0; at < s.size();) {
        const char c = s[at];
        if (static_cast<unsigned char>(c) >= 0x80) {
            const std::size_t n = sequence(s, at);
            out += n ? s.substr(at, n) : std::string_view("\xef\xbf\xbd");
            at += n ? n : 1;
            continue;
        }
        ++at;
        switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        default:
            if (static_cast<unsigned char>(c) < 0x20)
                ((out += "\\u00") += hex_digits[c >> 4]) += hex_digits[c & 15];
            else
                out += c;
        }
    }
    return out += '"';
}

bool is_utf8(std::string_view s) noexcept
{
    for (std::size_t at = 0; at < s.size();) {
        const std::size_t n = sequence(s, at);
        if (n == 0) return false;
        at += n;
    }
    return true;
}

bool glob(std::string_view pattern, std::string_view text) noexcept
{
    std::size_t p = 0, t = 0, star = pattern.npos, resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++, resume = t;
        } else if (p < pattern.size() && low(pattern[p]) == low(text[t])) {
            ++p, ++t;
        } else if (star != pattern.npos) {
            p = star + 1, t = ++resume;
        } else
            return false;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known)
{
    std::string_view best;
    std::size_t least = word.size() / 3 + 2; // at most a third of it, and one slip in a short word
    for (const auto candidate : known) {
        std::vector<std::size_t> row(candidate.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (std::size_t i = 0; i < word.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i + 1;
            for (std::size_t j = 0; j < candidate.size(); ++j) {
                const std::size_t above = row[j + 1];
                row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (low(word[i]) != low(candidate[j]))});
                diagonal = above;
            }
        }
        if (row.back() < least) least = row.back(), best = candidate;
    }
    return best;
}

std::string masked(std::string_view secret)
{
    if (secret.empty()) return {};
    if (secret.size() <= 12) return "...";
    return std::string(secret.substr(0, 4)) + "..." + std::string(secret.substr(secret.size() - 4));
}

} // namespace core
