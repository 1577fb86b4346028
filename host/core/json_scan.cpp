// The scanner's slow paths: escapes, numbers that may overflow, objects with many keys.
#include "core/json_scan.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace core {

namespace {

/// The first byte that ends a run of plain text in a string: a quote, a backslash, a control character, or the end.
inline const char* plain(const char* at, const char* end) noexcept
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    for (; end - at >= 16; at += 16) {
        const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, slash)),
                                         _mm_cmpeq_epi8(_mm_min_epu8(x, control), x));
        if (const int mask = _mm_movemask_epi8(hit)) return at + __builtin_ctz(static_cast<unsigned>(mask));
    }
#endif
    while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
    return at;
}

/// The four hexadecimal digits at `at`, or -1.
int code_unit(const char* at, const char* end) noexcept
{
    if (end - at < 4) return -1;
    int value = 0;
    for (int i = 0; i < 4; ++i) {
        const char c = at[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

constexpr bool high(int unit) noexcept { return unit >= 0xd800 && unit < 0xdc00; }
constexpr bool low(int unit) noexcept { return unit >= 0xdc00 && unit < 0xe000; }

/// The second half of a pair whose first half ends at `at`, or -1.
int partner(const char* at, const char* end) noexcept
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return -1;
    const int unit = code_unit(at + 2, end);
    return low(unit) ? unit : -1;
}

void put_utf8(std::string& out, int code)
{
    const auto put = [&](int byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | (code >> 6)), put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(0xe0 | (code >> 12)), put(0x80 | ((code >> 6) & 0x3f)), put(0x80 | (code & 0x3f));
    } else
        put(0xf0 | (code >> 18)), put(0x80 | ((code >> 12) & 0x3f)), put(0x80 | ((code >> 6) & 0x3f)),
            put(0x80 | (code & 0x3f));
}

std::uint32_t hash_of(const char* data, std::size_t length) noexcept
{
    std::uint64_t h = length * 0x9e3779b97f4a7c15U;
    for (; length >= 8; data += 8, length -= 8) {
        std::uint64_t word;
        std::memcpy(&word, data, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdU;
        h ^= h >> 29;
    }
    std::uint64_t rest = 0;
    for (std::size_t i = 0; i < length; ++i) rest |= std::uint64_t{static_cast<unsigned char>(data[i])} << (8 * i);
    h = (h ^ rest) * 0xff51afd7ed558ccdU;
    return static_cast<std::uint32_t>(h >> 32);
}

/// Whether a number that the grammar allows is beyond the largest double. Too small is no fault: it is nothing.
bool overflows(std::string_view number) noexcept
{
    double value = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc{}) return false;
    if (number[0] == '-') number.remove_prefix(1);
    const auto mark = number.find_first_of("eE");
    const auto digits = number.substr(0, mark);
    const auto point = std::min(digits.find('.'), digits.size());
    const auto first = digits.find_first_of("123456789");
    if (first == digits.npos) return false;
    bool down = false;
    std::int64_t exponent = 0;
    if (mark != number.npos)
        for (const char c : number.substr(mark + 1)) {
            down = down || c == '-';
            if (c >= '0' && c <= '9' && exponent < 1'000'000'000'000) exponent = exponent * 10 + (c - '0');
        }
    return static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) + (down ? -exponent : exponent) > 0;
}

constexpr std::size_t few = 24; // up to here every new key is compared with those before it

} // namespace

std::string JsonString::text() const
{
    if (!escaped) return std::string(raw);
    std::string out;
    out.reserve(bytes);
    const char *at = raw.data(), *const end = at + raw.size();
    while (at != end) {
        const char* stop = static_cast<const char*>(std::memchr(at, '\\', static_cast<std::size_t>(end - at)));
        if (!stop) stop = end;
        out.append(at, stop);
        at = stop;
        if (at == end) break;
        const char kind = at[1];
        at += 2;
        switch (kind) {
        case 'b':
            out += '\b';
            break;
        case 'f':
            out += '\f';
            break;
        case 'n':
            out += '\n';
            break;
        case 'r':
            out += '\r';
            break;
        case 't':
            out += '\t';
            break;
        case 'u': {
            int code = code_unit(at, end);
            at += 4;
            if (high(code)) {
                const int second = partner(at, end);
                if (second >= 0) code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00), at += 6;
            }
            put_utf8(out, high(code) || low(code) ? 0xfffd : code);
            break;
        }
        default:
            out += kind;
        }
    }
    return out;
}

bool JsonString::half_surrogate() const noexcept
{
    if (!escaped) return false;
    const char *at = raw.data(), *const end = at + raw.size();
    while ((at = std::find(at, end, '\\')) != end) {
        const bool unicode = at[1] == 'u';
        at += 2;
        if (!unicode) continue;
        const int code = code_unit(at, end);
        at += 4;
        if (low(code)) return true;
        if (!high(code)) continue;
        if (partner(at, end) < 0) return true;
        at += 6;
    }
    return false;
}

bool JsonScanner::escape(const char*& at, std::size_t& saved) const noexcept
{
    if (end_ - at < 2) return false;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        at += 2, saved += 1;
        return true;
    case 'u': {
        const int code = code_unit(at + 2, end_);
        if (code < 0) return false;
        at += 6;
        if (high(code) && partner(at, end_) >= 0)
            at += 6, saved += 8;
        else
            saved += code < 0x80 ? 5 : code < 0x800 ? 4 : 3;
        return true;
    }
    default:
        return false;
    }
}

bool JsonScanner::string(JsonString& out) noexcept
{
    if (fault_ != JsonFault::None || peek() != '"') return fail();
    const char *const first = at_ + 1, *at = first;
    std::size_t saved = 0;
    while (true) {
        at = plain(at, end_);
        if (at == end_) return at_ = end_, fail();
        if (*at == '"') break;
        if (*at != '\\' || !escape(at, saved)) return at_ = at, fail();
    }
    out.raw = {first, static_cast<std::size_t>(at - first)};
    out.bytes = out.raw.size() - saved;
    out.escaped = saved != 0;
    at_ = at + 1;
    return true;
}

bool JsonScanner::number(std::string_view& out) noexcept
{
    if (fault_ != JsonFault::None || !is_number()) return fail();
    const char* at = at_;
    const auto digits = [&] {
        const char* from = at;
        while (at != end_ && *at >= '0' && *at <= '9') ++at;
        return at != from;
    };
    bool wide = false;
    if (*at == '-') ++at;
    if (at != end_ && *at == '0')
        ++at;
    else if (!digits())
        return fail();
    if (at != end_ && *at == '.') {
        ++at;
        if (!digits()) return fail();
    }
    if (at != end_ && (*at == 'e' || *at == 'E')) {
        wide = true;
        ++at;
        if (at != end_ && (*at == '+' || *at == '-')) ++at;
        if (!digits()) return fail();
    }
    out = {at_, static_cast<std::size_t>(at - at_)};
    if ((wide || out.size() > 300) && overflows(out)) return fail(JsonFault::Range);
    at_ = at;
    return true;
}

bool JsonScanner::word(std::string_view literal) noexcept
{
    if (static_cast<std::size_t>(end_ - at_) < literal.size() || std::memcmp(at_, literal.data(), literal.size()) != 0)
        return fail();
    at_ += literal.size();
    return true;
}

bool JsonScanner::skip()
{
    if (fault_ != JsonFault::None) return false;
    JsonString text;
    std::string_view digits;
    switch (peek()) {
    case '{':
        return object([this](const JsonString&) { return skip(); });
    case '[':
        return array([this] { return skip(); });
    case '"':
        return string(text);
    case 't':
        return word("true");
    case 'f':
        return word("false");
    case 'n':
        return word("null");
    default:
        return number(digits);
    }
}

bool JsonScanner::skip(std::string_view& out)
{
    peek();
    const char* from = at_;
    if (!skip()) return false;
    out = {from, static_cast<std::size_t>(at_ - from)};
    return true;
}

bool JsonScanner::note(const JsonString& key, std::size_t mark)
{
    std::string_view name = key.raw;
    if (key.escaped) {
        const std::string text = key.text();
        name = {unpacked_.emplace_back(text.begin(), text.end()).data(), text.size()};
    }
    const Key mine{name.data(), static_cast<std::uint32_t>(name.size()), hash_of(name.data(), name.size())};
    if (keys_.size() - mark < few)
        for (std::size_t i = mark; i < keys_.size(); ++i)
            if (keys_[i].hash == mine.hash && keys_[i].length == mine.length &&
                std::memcmp(keys_[i].data, mine.data, mine.length) == 0) {
                duplicate_.assign(name);
                return fail(JsonFault::DuplicateKey);
            }
    if (keys_.capacity() == 0) keys_.reserve(few); // most bodies have no more at a time
    keys_.push_back(mine);
    return true;
}

bool JsonScanner::up(std::size_t mark)
{
    --depth_;
    const auto view = [](const Key& key) { return std::string_view(key.data, key.length); };
    if (keys_.size() - mark >
        few) { // sorted by text where hashes meet, so that chosen collisions cost no more than others
        const auto from = keys_.begin() + static_cast<std::ptrdiff_t>(mark);
        std::sort(from, keys_.end(),
                  [&](const Key& a, const Key& b) { return a.hash != b.hash ? a.hash < b.hash : view(a) < view(b); });
        const auto twice = std::adjacent_find(
            from, keys_.end(), [&](const Key& a, const Key& b) { return a.hash == b.hash && view(a) == view(b); });
        if (twice != keys_.end()) {
            duplicate_.assign(view(*twice));
            return fail(JsonFault::DuplicateKey);
        }
    }
    keys_.resize(mark);
    return true;
}

bool is_json(std::string_view text)
{
    JsonScanner scan(text, static_cast<std::size_t>(-1), false);
    return scan.skip() && scan.end();
}

bool json_integer(std::string_view number, std::int64_t& out) noexcept
{
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out);
    return error == std::errc{} && end == number.data() + number.size();
}

} // namespace core
